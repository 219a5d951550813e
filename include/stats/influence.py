"""Metrics with a standard error at the price of one sort: by what each row adds to the metric.

A metric of many rows moves by about the mean of its rows' influences (Huber & Ronchetti 2009, "Robust
Statistics", chapter 1), so its standard error follows from their sums by unit; rows of one unit need not be
independent. For the area under the ROC curve these are DeLong's components (1988, Biometrics 44:837), summed
by cluster as Obuchowski does (1997, Biometrics 53:567). A bootstrap over units agrees at hundreds of times
the cost.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from include.contracts.model import Metric
from include.contracts.signatures import FEWEST_CLASSES, Task
from include.stats.intervals import Estimate
from include.stats.metrics import CALIBRATION_BINS, DECISION_THRESHOLD, Array


@dataclass(frozen=True)
class Influences:
    """A metric, and by how much each row moves it: the estimate less the truth is about the weighted mean."""

    value: float
    of_rows: Array


def influences(
    metric: Metric, task: Task, labels: Array, scores: Array, weights: Array | None = None
) -> Influences:
    """Return a metric with each row's influence.

    Args:
        metric: one the task defines.
        task: kind of model.
        labels: 0 and 1, class indices, or targets, [n].
        scores: [n], [n, 1] or, of classes, [n, K].
        weights: of the rows, non-negative, [n]; 1 each unless given.

    Raises:
        ValueError: the metric is not defined for these rows: such as one class only.
    """
    if not len(labels):
        raise ValueError("no rows, no metric")
    flat = scores if task is Task.MULTICLASS else np.asarray(scores, np.float64).reshape(len(labels))
    shares = np.full(len(labels), 1.0) if weights is None else weights
    return _BUILDERS[metric](labels, flat, shares / shares.mean())


def clustered_estimate(
    found: Influences, unit_of_row: npt.NDArray[np.int64], weights: Array | None = None
) -> Estimate:
    """Return a metric with its standard error over units, each row's unit given as a number from 0.

    Raises:
        ValueError: fewer than two units.
    """
    rows = len(found.of_rows)
    shares = np.ones(rows) if weights is None else weights / weights.mean()
    sums = np.bincount(unit_of_row, found.of_rows * shares)
    units = np.unique(unit_of_row).size
    if units < FEWEST_CLASSES:
        raise ValueError("one unit says nothing about how units differ")
    return Estimate(found.value, sqrt(float((sums**2).sum()) * units / (units - 1)) / rows)


_Builder = Callable[[Array, Array, Array], Influences]
"""Of labels, scores and weights of mean 1."""


def _mean(losses: Array, weights: Array) -> Influences:
    value = float((weights * losses).mean())
    return Influences(value, losses - value)


def _ratio(numerator: Array, denominator: Array, weights: Array, what: str) -> Influences:
    below = float((weights * denominator).mean())
    if below <= 0.0:
        raise ValueError(f"no row is {what}")
    value = float((weights * numerator).mean()) / below
    return Influences(value, (numerator - value * denominator) / below)


def _accuracy(labels: Array, scores: Array, weights: Array) -> Influences:
    predicted = scores >= DECISION_THRESHOLD if scores.ndim == 1 else scores.argmax(axis=1)
    return _mean((predicted == labels).astype(np.float64), weights)


def _precision(labels: Array, scores: Array, weights: Array) -> Influences:
    taken = (scores >= DECISION_THRESHOLD).astype(np.float64)
    return _ratio(taken * labels, taken, weights, "predicted positive")


def _recall(labels: Array, scores: Array, weights: Array) -> Influences:
    hits = (scores >= DECISION_THRESHOLD) * labels
    return _ratio(hits, labels.astype(np.float64), weights, "positive")


def _log_loss(labels: Array, scores: Array, weights: Array) -> Influences:
    chances = np.column_stack([1 - scores, scores]) if scores.ndim == 1 else scores
    own = chances[np.arange(len(labels)), labels.astype(np.int64)]
    return _mean(-np.log(np.clip(own, np.finfo(np.float32).eps, 1.0)), weights)


def _calibration_error(labels: Array, scores: Array, weights: Array) -> Influences:
    """The bins and the signs of their gaps are taken as given."""
    order = np.argsort(scores, kind="stable")
    bin_of = np.empty(len(labels), np.int64)
    bin_of[order] = np.arange(len(labels)) * CALIBRATION_BINS // len(labels)
    gaps = scores - labels
    signs = np.sign(np.bincount(bin_of, weights * gaps, minlength=CALIBRATION_BINS))
    return _mean(signs[bin_of] * gaps, weights)


def _roc_auc(labels: Array, scores: Array, weights: Array) -> Influences:
    positive = labels == 1
    order, starts, group = _ranked(scores)
    share = _share_of_positives(positive, weights)
    below = {}
    for is_positive in (True, False):
        mass = np.where(positive == is_positive, weights, 0.0)[order]
        sums = np.add.reduceat(mass, starts)
        before = np.cumsum(sums) - sums
        # The share of one class that ranks below each row, ties counted half.
        below[is_positive] = ((before + sums / 2) / mass.sum())[group]
    wins = np.empty(len(labels))
    wins[order] = np.where(positive[order], below[False], 1 - below[True])
    value = float((weights * wins)[positive].sum() / weights[positive].sum())
    return Influences(value, (wins - value) / np.where(positive, share, 1 - share))


def _average_precision(labels: Array, scores: Array, weights: Array) -> Influences:
    """Mean over positives of the precision at their score; a row also moves the precision at lower ones."""
    positive = labels == 1
    share = _share_of_positives(positive, weights)
    order, starts, group = _ranked(-scores)
    mass, hits = weights[order] / len(labels), (weights * positive)[order] / len(labels)
    group_hits = np.add.reduceat(hits, starts)
    taken = np.cumsum(np.add.reduceat(mass, starts))
    precision = np.cumsum(group_hits) / taken
    value = float((group_hits * precision).sum() / share)
    # Sums over the groups a row is taken in: its own and all of lower scores.
    gained = np.cumsum((group_hits / taken)[::-1])[::-1]
    lost = np.cumsum((group_hits * precision / taken)[::-1])[::-1]
    own = positive[order].astype(np.float64)
    ranked = own * (precision[group] - value) + own * gained[group] - lost[group]
    of_rows = np.empty(len(labels))
    of_rows[order] = ranked / share
    return Influences(value, of_rows)


def _ranked(scores: Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return rows in order of score, where each run of equal scores starts, and each place's run."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    is_start = np.concatenate(([True], ranked[1:] != ranked[:-1]))
    return order, np.flatnonzero(is_start), np.cumsum(is_start) - 1


def _share_of_positives(positive: npt.NDArray[np.bool_], weights: Array) -> float:
    share = float((weights * positive).mean())
    if not 0.0 < share < float(weights.mean()):
        raise ValueError("ranking needs both classes")
    return share


def _root_mean_squared_error(labels: Array, scores: Array, weights: Array) -> Influences:
    squared = _mean((scores - labels) ** 2, weights)
    root = sqrt(squared.value)
    return Influences(root, squared.of_rows / (2 * root) if root else squared.of_rows)


def _r2(labels: Array, scores: Array, weights: Array) -> Influences:
    mean = float((weights * labels).mean())
    spread = (labels - mean) ** 2
    unexplained = _ratio((scores - labels) ** 2, spread, weights, "unlike another")
    return Influences(1 - unexplained.value, -unexplained.of_rows)


_BUILDERS: dict[Metric, _Builder] = {
    Metric.ROC_AUC: _roc_auc,
    Metric.AVERAGE_PRECISION: _average_precision,
    Metric.ACCURACY: _accuracy,
    Metric.PRECISION: _precision,
    Metric.RECALL: _recall,
    Metric.BRIER: lambda labels, scores, weights: _mean((scores - labels) ** 2, weights),
    Metric.LOG_LOSS: _log_loss,
    Metric.EXPECTED_CALIBRATION_ERROR: _calibration_error,
    Metric.R2: _r2,
    Metric.MEAN_ABSOLUTE_ERROR: lambda labels, scores, weights: _mean(np.abs(scores - labels), weights),
    Metric.ROOT_MEAN_SQUARED_ERROR: _root_mean_squared_error,
}
