import numpy as np
import pandas as pd
import pytest

from include.evaluation.baseline import baseline_metrics
from tests.synthetic import churn_folder

TRAIN = pd.DataFrame(
    {
        "label": [0.0, 0, 1, 1],
        "days_since_last_purchase": [1.0, 2, 8, 9],
        "preferred_category": ["A", "A", "B", None],
    }
)


def contract(place, **baseline):
    """Return churn's contract with another baseline."""
    return churn_folder(place, gates={"baseline": baseline}).contract


def test_a_number_ranks_as_it_is_and_a_missing_one_in_the_middle(tmp_path):
    """Recencies 1, missing, 9 with the training median 5 between them rank the one positive last."""
    test = pd.DataFrame({"label": [0.0, 0, 1], "days_since_last_purchase": [1, np.nan, 9]})
    assert {"roc_auc": 1.0, "average_precision": 1.0} == baseline_metrics(contract(tmp_path), TRAIN, test)


def test_the_direction_can_be_turned(tmp_path):
    """Where a smaller number means positive, the same order is exactly wrong."""
    test = pd.DataFrame({"label": [0.0, 0, 1], "days_since_last_purchase": [1, 5, 9]})
    turned = contract(tmp_path, larger_means_positive=False)
    assert 0.0 == baseline_metrics(turned, TRAIN, test)["roc_auc"]


def test_a_category_predicts_what_it_did_in_training(tmp_path):
    """A: never, B: always, missing: always, unseen: half of all."""
    test = pd.DataFrame({"label": [0.0, 1, 1, 1], "preferred_category": ["A", "B", None, "C"]})
    found = baseline_metrics(contract(tmp_path, feature="preferred_category"), TRAIN, test)
    assert pytest.approx(0.25 / 4) == found["brier"]


def test_a_number_gives_probabilities_where_the_metric_needs_them(tmp_path):
    """For a Brier score the training rows of the same tenth are averaged."""
    test = pd.DataFrame({"label": [0.0, 1], "days_since_last_purchase": [1.0, 9]})
    assert pytest.approx(0.0) == baseline_metrics(contract(tmp_path, metric="brier"), TRAIN, test)["brier"]
