"""Leaks: a feature that by itself predicts the label almost perfectly knows what it could not have known."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from include.adapters.snapshots import LABEL
from include.contracts.errors import DataError
from include.contracts.model import Metric, ModelContract
from include.contracts.signatures import FeatureKind, Task
from include.stats.metrics import weighted_metric

BUCKETS = 20
FOLDS = 2

Array = npt.NDArray[np.float64]
Texts = npt.NDArray[np.str_]


def check_leaks(contract: ModelContract, rows: pd.DataFrame) -> None:
    """Stop training where a feature alone reaches the contract's bound.

    Args:
        contract: its `training.leak_bound`, features and task.
        rows: the training window.

    Raises:
        DataError: names every such feature with its figure.
    """
    found = single_feature_skill(contract, rows)
    leaks = {name: skill for name, skill in found.items() if skill > contract.training.leak_bound}
    if leaks:
        told = ", ".join(f"{name} {skill:.4f}" for name, skill in sorted(leaks.items()))
        raise DataError(
            f"{contract.name}: a feature alone predicts the label almost perfectly, so it leaks: {told} "
            f"({skill_name(contract.task)} on {len(rows)} training rows, at most "
            f"{contract.training.leak_bound:g}); compute it from what was known at event_at, or raise "
            "training.leak_bound if it really was"
        )


def skill_name(task: Task) -> str:
    """Return the name of the figure `single_feature_skill` gives."""
    return Metric.R2.value if task is Task.REGRESSION else Metric.ROC_AUC.value


def single_feature_skill(contract: ModelContract, rows: pd.DataFrame) -> dict[str, float]:
    """Return how well each feature predicts the label by itself: ROC-AUC (its best class), or R2.

    The best of its readings. As an order: the number as it is, whichever way it points, and for a regression
    the rank correlation, too. As groups: what the other half of the rows with the same category or twentieth
    of the number did on average, a missing value being a group of its own; that finds a leak that is not
    monotone, or lies in the value being missing.
    """
    labels = rows[LABEL].to_numpy(np.float64)
    targets = _targets(contract, labels)
    return {
        item.name: max(_skill(contract.task, target, rows[item.name], item.kind) for target in targets)
        for item in contract.features.inputs
    }


def _targets(contract: ModelContract, labels: Array) -> list[Array]:
    """Return the label, or for several classes whether it is each of those found."""
    if contract.task is not Task.MULTICLASS:
        return [labels]
    return [(labels == each).astype(np.float64) for each in np.unique(labels)]


def _skill(task: Task, target: Array, values: pd.Series, kind: FeatureKind) -> float:
    measure = _squared_correlation if task is Task.REGRESSION else _separation
    if kind is FeatureKind.CATEGORICAL:
        return measure(target, _other_half_means(values.fillna("").to_numpy(str), target))
    numbers = values.to_numpy(np.float64)
    known = np.where(np.isnan(numbers), _middle(numbers), numbers)
    as_ranks = measure(rankdata(target), rankdata(known)) if task is Task.REGRESSION else 0.0
    return max(measure(target, known), as_ranks, measure(target, _other_half_means(_bucket(numbers), target)))


def _middle(numbers: Array) -> float:
    known = numbers[~np.isnan(numbers)]
    return float(np.median(known)) if len(known) else 0.0


def _bucket(numbers: Array) -> Texts:
    is_missing = np.isnan(numbers)
    if is_missing.all():
        return np.full(len(numbers), "")
    edges = np.nanquantile(numbers, np.linspace(0, 1, BUCKETS + 1)[1:-1])
    return np.where(is_missing, "", np.digitize(numbers, edges).astype(str))


def _other_half_means(groups: Texts, target: Array) -> Array:
    """Return for each row the mean target of its group in the other half; the overall mean if it has none."""
    half = np.arange(len(target)) % FOLDS
    codes = np.unique(groups, return_inverse=True)[1]
    scores = np.empty(len(target))
    for fold in range(FOLDS):
        others = half != fold
        counts = np.bincount(codes[others], minlength=codes.max() + 1)
        sums = np.bincount(codes[others], target[others], minlength=codes.max() + 1)
        means = np.where(counts > 0, sums / np.maximum(counts, 1), target[others].mean())
        scores[~others] = means[codes[~others]]
    return scores


def _separation(target: Array, scores: Array) -> float:
    """Return the ROC-AUC, whichever way the scores point."""
    auc = weighted_metric(Metric.ROC_AUC, Task.BINARY, target, scores)(np.ones(len(target)))
    return max(auc, 1 - auc)


def _squared_correlation(target: Array, scores: Array) -> float:
    """Return the R2 of the best straight line; 0 where either is constant."""
    if not (np.ptp(target) and np.ptp(scores)):
        return 0.0
    return float(np.corrcoef(target, scores)[0, 1] ** 2)
