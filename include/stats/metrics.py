"""Metrics of models, under the names contracts use for them.

`scores` are what the model puts out: probabilities [n] or [n, 1] (binary), [n, K] (multiclass), or
predictions [n] or [n, 1] (regression). `labels` are 0 and 1, class indices, or targets, [n].
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from sklearn import metrics as sk

from include.contracts.model import Metric
from include.contracts.signatures import FEWEST_CLASSES, Task

Array = npt.NDArray[np.float64]
Weighted = Callable[[Array], float]
"""A metric of fixed rows as a function of their weights."""

DECISION_THRESHOLD = 0.5
"""Probability from which a binary score counts as positive in accuracy, precision and recall."""

CALIBRATION_BINS = 15


def compute_metrics(task: Task, labels: Array, scores: Array) -> dict[str, float]:
    """Return every metric the task defines, by its contract name.

    Raises:
        ValueError: there are no rows, only one class where the metric needs two, or a score is not
            finite.
    """
    if not np.isfinite(scores).all():
        raise ValueError(f"{int((~np.isfinite(scores)).sum())} of {scores.size} scores are not finite")
    return {
        metric.value: weighted_metric(metric, task, labels, scores)(np.ones(len(labels)))
        for metric in Metric
        if task in metric.tasks
    }


def weighted_metric(metric: Metric, task: Task, labels: Array, scores: Array) -> Weighted:
    """Return a metric of these rows as a function of non-negative row weights [n].

    What does not depend on the weights, such as sorting, is done once: a bootstrap calls the result
    hundreds of times.
    """
    flat = scores if task is Task.MULTICLASS else np.asarray(scores, np.float64).reshape(len(labels))
    return _BUILDERS[metric](labels, flat)


def expected_calibration_error(labels: Array, scores: Array, bins: int = CALIBRATION_BINS) -> float:
    """Return the mean gap between predicted and observed frequency over bins of equal mass.

    Equal-mass bins, since equal-width ones are biased where scores bunch (Nixon et al. 2019,
    "Measuring Calibration in Deep Learning"; Roelofs et al. 2022, "Mitigating Bias in Calibration
    Error Estimation").
    """
    return _calibration_error(labels, scores, bins)(np.ones(len(labels)))


def _calibration_error(labels: Array, scores: Array, bins: int = CALIBRATION_BINS) -> Weighted:
    order = np.argsort(scores, kind="stable")
    bin_of = np.empty(len(labels), np.int64)
    bin_of[order] = np.arange(len(labels)) * bins // len(labels)
    gaps = scores - labels

    def evaluate(weights: Array) -> float:
        sums = np.bincount(bin_of, weights * gaps, minlength=bins)
        return float(np.abs(sums).sum() / weights.sum())

    return evaluate


def _tie_ends(scores: Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the order of descending scores, and the last position of each run of equal ones."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    return order, np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)


def _roc_auc(labels: Array, scores: Array) -> Weighted:
    """Area under the ROC curve by the trapezoid rule, ties counted half."""
    _require_both_classes(labels)
    order, ends = _tie_ends(scores)
    positive = labels[order] == 1

    def evaluate(weights: Array) -> float:
        ranked = weights[order]
        hits = np.concatenate(([0.0], np.cumsum(ranked * positive)[ends]))
        alarms = np.concatenate(([0.0], np.cumsum(ranked * ~positive)[ends]))
        return float(np.trapezoid(hits, alarms) / (hits[-1] * alarms[-1]))

    return evaluate


def _average_precision(labels: Array, scores: Array) -> Weighted:
    """Mean precision over the recall gained at each distinct score."""
    _require_both_classes(labels)
    order, ends = _tie_ends(scores)
    positive = labels[order] == 1

    def evaluate(weights: Array) -> float:
        ranked = weights[order]
        hits = np.cumsum(ranked * positive)[ends]
        taken = np.cumsum(ranked)[ends]
        gained = np.diff(hits, prepend=0.0)
        precision = np.divide(hits, taken, out=np.zeros_like(hits), where=taken > 0)
        return float((gained * precision).sum() / hits[-1])

    return evaluate


def _require_both_classes(labels: Array) -> None:
    if len(np.unique(labels)) < FEWEST_CLASSES:
        raise ValueError(f"ranking needs both classes; all {len(labels)} labels are {labels[:1]}")


def _row_mean(losses: Array) -> Weighted:
    return lambda weights: float((weights * losses).sum() / weights.sum())


def _accuracy(labels: Array, scores: Array) -> Weighted:
    predicted = scores >= DECISION_THRESHOLD if scores.ndim == 1 else scores.argmax(axis=1)
    return _row_mean((predicted == labels).astype(np.float64))


def _log_loss(labels: Array, scores: Array) -> Weighted:
    chances = np.column_stack([1 - scores, scores]) if scores.ndim == 1 else scores
    own = chances[np.arange(len(labels)), labels.astype(np.int64)]
    return _row_mean(-np.log(np.clip(own, np.finfo(np.float32).eps, 1.0)))


def _precision(labels: Array, scores: Array) -> Weighted:
    return _hit_share(labels, scores, scores >= DECISION_THRESHOLD)


def _recall(labels: Array, scores: Array) -> Weighted:
    return _hit_share(labels, scores, labels == 1)


def _hit_share(labels: Array, scores: Array, among: npt.NDArray[np.bool_]) -> Weighted:
    """Return the share of true positives among some rows; 0 where there are none."""
    hits = (scores >= DECISION_THRESHOLD) & (labels == 1)

    def evaluate(weights: Array) -> float:
        total = weights[among].sum()
        return float(weights[hits].sum() / total) if total else 0.0

    return evaluate


def _root_mean_squared_error(labels: Array, scores: Array) -> Weighted:
    mean = _row_mean((scores - labels) ** 2)
    return lambda weights: float(np.sqrt(mean(weights)))


def _r2(labels: Array, scores: Array) -> Weighted:
    return lambda weights: float(sk.r2_score(labels, scores, sample_weight=weights))


_BUILDERS: dict[Metric, Callable[[Array, Array], Weighted]] = {
    Metric.ROC_AUC: _roc_auc,
    Metric.AVERAGE_PRECISION: _average_precision,
    Metric.ACCURACY: _accuracy,
    Metric.PRECISION: _precision,
    Metric.RECALL: _recall,
    Metric.BRIER: lambda labels, scores: _row_mean((scores - labels) ** 2),
    Metric.LOG_LOSS: _log_loss,
    Metric.EXPECTED_CALIBRATION_ERROR: _calibration_error,
    Metric.R2: _r2,
    Metric.MEAN_ABSOLUTE_ERROR: lambda labels, scores: _row_mean(np.abs(scores - labels)),
    Metric.ROOT_MEAN_SQUARED_ERROR: _root_mean_squared_error,
}
