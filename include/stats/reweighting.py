"""Worse by other inputs, or by a changed relation? Reference rows weighted to look like current ones.

A classifier learns to tell current rows from reference rows by their inputs; its odds are the ratio of their
densities (Bickel, Brueckner & Scheffer 2009, "Discriminative Learning under Covariate Shift", JMLR 10:2137).
The metric over reference rows under those weights is what the old relation gives on the new inputs: how far
it falls is explained by the inputs, what is left of the decline is not (as Cai, Namkoong & Yadlowsky 2023,
"Diagnosing Model Performance Under Distribution Shift", arXiv 2303.02011). Odds come from folds that did not
see the row, and are cut at `LARGEST_WEIGHT`.

Limits: only the inputs the model has are weighed, so a change in what it does not see counts as a changed
relation; weights are taken as known in the intervals; where no reference row looks like the current ones, it
says so and decides nothing.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from include.contracts.model import Metric
from include.contracts.performance import Cause
from include.contracts.signatures import Task
from include.stats.influence import Influences, clustered_estimate, influences
from include.stats.intervals import Estimate, difference
from include.stats.metrics import Array

FOLDS = 5
LARGEST_WEIGHT = 20.0
SMALLEST_SHARE = 0.25
"""Part of the decline that counts as explaining it."""
FEWEST_ROWS = 200
MOST_UNLIKE = 0.5
"""Share of current rows at the largest weight, where next to no reference row lies, that can be borne."""
CONFIDENCE = 0.99
_CHANCES = (0.0005, 0.9995)


@dataclass(frozen=True)
class Sample:
    """Labelled predictions with the inputs they were made from."""

    inputs: Array
    """[n, features]; NaN where missing, categories as numbers."""
    labels: Array
    scores: Array
    units: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Explanation:
    """A decline in two parts, in the metric's own units; positive is worse."""

    cause: Cause
    decline: float
    explained: Estimate | None = None
    unexplained: Estimate | None = None
    effective_rows: float = 0.0
    """Reference rows that the weights leave, as if all weighed the same."""


def explain(metric: Metric, task: Task, reference: Sample, current: Sample, *, seed: int) -> Explanation:
    """Return what of a metric's decline other inputs explain.

    Args:
        metric: says which way is worse.
        task: kind of model.
        reference: rows from when it was well.
        current: rows of now.
        seed: same rows and seed, same answer.

    Raises:
        ValueError: the metric is not defined on either rows.
    """
    sign = 1.0 if metric.larger_is_better else -1.0
    then, now = (influences(metric, task, each.labels, each.scores) for each in (reference, current))
    decline = sign * (then.value - now.value)
    if min(len(reference.labels), len(current.labels)) < FEWEST_ROWS:
        return Explanation(Cause.UNDECIDED, decline)
    ratios = density_ratios(reference.inputs, current.inputs, seed=seed)
    weights, unlike = ratios[: len(reference.labels)], ratios[len(reference.labels) :] >= LARGEST_WEIGHT
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    if unlike.mean() > MOST_UNLIKE or effective < FEWEST_ROWS / 2:
        return Explanation(Cause.UNLIKE, decline, effective_rows=effective)
    weighted = influences(metric, task, reference.labels, reference.scores, weights)
    expected = clustered_estimate(weighted, reference.units, weights)
    explained = clustered_estimate(_less(then, weighted, weights), reference.units)
    unexplained = difference(clustered_estimate(now, current.units), expected)
    parts = (
        Estimate(sign * explained.value, explained.standard_error),
        Estimate(sign * unexplained.value, unexplained.standard_error),
    )
    return Explanation(_cause(decline, *parts), decline, *parts, effective)


def density_ratios(reference: Array, current: Array, *, seed: int) -> Array:
    """Return each row's density among current over reference rows, these first; cut at the largest."""
    rows = np.concatenate([reference, current])
    rows = rows[:, [len(np.unique(column[~np.isnan(column)])) > 1 for column in rows.T]]
    if not rows.shape[1]:
        return np.ones(len(rows))
    is_current = np.concatenate([np.zeros(len(reference)), np.ones(len(current))])
    model = HistGradientBoostingClassifier(
        max_iter=60, max_leaf_nodes=8, min_samples_leaf=40, l2_regularization=1.0, random_state=seed
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    with threadpool_limits(1):  # beside others, its threads wait for each other longer than they work
        chances = cross_val_predict(model, rows, is_current, cv=folds, method="predict_proba")[:, 1]
    odds = np.clip(chances, *_CHANCES)
    ratios = odds / (1 - odds) * len(reference) / len(current)
    return np.asarray(np.minimum(ratios, LARGEST_WEIGHT), np.float64)


def _less(then: Influences, weighted: Influences, weights: Array) -> Influences:
    """Return the fall from the plain metric to the weighted one, over the same rows."""
    return Influences(then.value - weighted.value, then.of_rows - weighted.of_rows * weights / weights.mean())


def _cause(decline: float, explained: Estimate, unexplained: Estimate) -> Cause:
    is_data, is_concept = (
        each.value >= SMALLEST_SHARE * decline and each.interval(CONFIDENCE).low > 0.0
        for each in (explained, unexplained)
    )
    if is_data:
        return Cause.BOTH if is_concept else Cause.DATA
    return Cause.CONCEPT if is_concept else Cause.UNDECIDED
