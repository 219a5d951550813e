import numpy as np
import pytest

from include.contracts.reports import CurveKind
from include.evaluation.plots import calibration, curves, histograms
from include.evaluation.scored import Scored
from include.stats.metrics import compute_metrics
from tests.synthetic import churn_folder, customers

DICE = np.random.default_rng(4)
ROWS = 1_000


def gates(metric, **bound):
    """Return gates of one metric."""
    return {
        "thresholds": [{"metric": metric, **bound}],
        "baseline": {"metric": metric},
        "champion": {"metric": metric},
        "benchmark": {"thresholds": []},
        "slices": [],
    }


def scored(place, labels, scores, **changes):
    """Return rows with labels and scores, in a contract changed as told."""
    contract = churn_folder(
        place, serving={"fallbacks": ["refuse"], "default_score": None}, **changes
    ).contract
    rows = customers(units=len(labels), weeks=1)
    return Scored(contract, rows, labels, scores, compute_metrics(contract.task, labels, scores))


@pytest.fixture
def binary(tmp_path_factory):
    """Calibrated scores."""
    scores = DICE.beta(2, 4, ROWS)
    return scored(tmp_path_factory.mktemp("it"), (DICE.random(ROWS) < scores).astype(float), scores[:, None])


@pytest.fixture
def regression(tmp_path_factory):
    """Predictions of noisy targets."""
    scores = DICE.lognormal(3, 1, ROWS)
    labels = scores + DICE.normal(0, 5, ROWS)
    return scored(
        tmp_path_factory.mktemp("it"),
        labels,
        scores[:, None],
        task="regression",
        gates=gates("r2", minimum=0.1),
    )


@pytest.fixture
def multiclass(tmp_path_factory):
    """Three classes, of which one never comes."""
    scores = DICE.dirichlet((3, 2, 1), ROWS)
    labels = (DICE.random(ROWS) < scores[:, 1]).astype(float)
    return scored(
        tmp_path_factory.mktemp("it"),
        labels,
        scores,
        task="multiclass",
        classes=["a", "b", "c"],
        gates=gates("accuracy", minimum=0.1),
    )


def test_curves_of_a_ranking(binary):
    """At most a hundred points from corner to corner, and their area is the metric."""
    found = {curve.kind: curve for curve in curves(binary)}
    roc, both = found[CurveKind.ROC], found[CurveKind.PRECISION_RECALL]
    assert ((0.0, 0.0), (1.0, 1.0)) == ((roc.x[0], roc.y[0]), (roc.x[-1], roc.y[-1]))
    assert 100 >= len(roc.x) == len(roc.y) > 50
    assert pytest.approx(binary.metrics["roc_auc"], abs=0.005) == np.trapezoid(roc.y, roc.x)
    assert (0.0, 1.0) == (both.x[0], both.x[-1])
    assert 100 >= len(both.x)


def test_curves_of_a_regression(regression):
    """Predicted against observed lies on the diagonal, residual quantiles rise."""
    predicted, residuals = curves(regression)
    assert CurveKind.PREDICTED_OBSERVED is predicted.kind
    assert pytest.approx(predicted.x, rel=0.3, abs=4) == predicted.y
    assert sorted(residuals.y) == list(residuals.y)
    assert calibration(regression) is None


def test_curves_of_each_class_that_came(multiclass):
    """A class without a row has none."""
    assert {"a", "b"} == {curve.label for curve in curves(multiclass)}


def test_histograms_hold_every_row_over_the_same_edges(binary, regression, multiclass):
    """By what the rows turned out to be."""
    for judged, labels in (
        (binary, ["negative", "positive"]),
        (regression, ["all"]),
        (multiclass, ["a", "b", "c"]),
    ):
        found = histograms(judged)
        assert labels == [each.label for each in found]
        assert ROWS == sum(sum(each.counts) for each in found)
        assert 1 == len({each.edges for each in found})


def test_calibration_speaks_of_the_metric(binary, multiclass):
    """The plain error equals the metric; for several classes the likeliest one is judged."""
    found = calibration(binary)
    assert pytest.approx(binary.metrics["expected_calibration_error"]) == found.expected_calibration_error
    assert 0 < found.expected_by_chance < 0.1
    likeliest = calibration(multiclass)
    assert min(each.mean_score for each in likeliest.bins) > 1 / 3
