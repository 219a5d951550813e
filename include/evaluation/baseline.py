"""The trivial rule a model must beat: what one feature says by itself."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.adapters.snapshots import LABEL
from include.contracts.model import Baseline, Metric, ModelContract
from include.contracts.signatures import Task
from include.stats.metrics import compute_metrics, weighted_metric

RANKING = (Metric.ROC_AUC, Metric.AVERAGE_PRECISION)
"""Metrics that only need an order, so a feature has them as it is."""

BUCKETS = 10

Array = npt.NDArray[np.float64]


def baseline_metrics(contract: ModelContract, train: pd.DataFrame, test: pd.DataFrame) -> dict[str, float]:
    """Return the baseline's metrics on test rows, the gate's among them.

    A number is ranked as it is (binary), or is itself the prediction (regression). Where that has no
    meaning (a category, several classes, a metric of probabilities) the prediction is what the
    training rows of the same category or tenth of the feature did on average. A missing value is
    taken as the training rows' median, or as a category of its own.
    """
    baseline = contract.gates.baseline
    labels = test[LABEL].to_numpy(np.float64)
    is_number = baseline.feature in contract.signature.numeric
    if contract.task is Task.BINARY and is_number and baseline.metric in RANKING:
        scores = _as_is(baseline, train, test)
        ones = np.ones(len(labels))
        return {m.value: weighted_metric(m, contract.task, labels, scores)(ones) for m in RANKING}
    if contract.task is Task.REGRESSION and is_number:
        return compute_metrics(contract.task, labels, _as_is(baseline, train, test))
    return compute_metrics(contract.task, labels, _average_outcome(contract, train, test, is_number))


def _as_is(baseline: Baseline, train: pd.DataFrame, test: pd.DataFrame) -> Array:
    middle = float(train[baseline.feature].median())
    values = test[baseline.feature].to_numpy(np.float64)
    known = np.where(np.isnan(values), np.nan_to_num(middle), values)
    return known if baseline.larger_means_positive else -known


def _average_outcome(
    contract: ModelContract, train: pd.DataFrame, test: pd.DataFrame, is_number: bool
) -> Array:
    """Return predictions [n] or [n, K]: outcomes of the training rows in the same bucket, averaged."""
    labels = train[LABEL].to_numpy(np.float64)
    classes = np.arange(contract.signature.outputs)
    outcomes = np.equal.outer(labels, classes) if contract.task is Task.MULTICLASS else labels[:, None]
    feature = contract.gates.baseline.feature
    edges = np.nanquantile(train[feature], np.linspace(0, 1, BUCKETS + 1)[1:-1]) if is_number else None
    averages = pd.DataFrame(outcomes.astype(np.float64)).groupby(_bucket(train[feature], edges)).mean()
    overall = outcomes.mean(axis=0)
    predicted = averages.reindex(_bucket(test[feature], edges)).to_numpy(np.float64)
    filled = np.where(np.isnan(predicted), overall, predicted)
    return filled if contract.task is Task.MULTICLASS else filled[:, 0]


def _bucket(values: pd.Series, edges: Array | None) -> npt.NDArray[np.str_]:
    if edges is None:
        return values.fillna("").to_numpy(str)
    places = np.digitize(values.to_numpy(np.float64), edges).astype(str)
    return np.where(values.isna(), "", places)
