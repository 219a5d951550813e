"""Figures for plots: calibration, curves, and where the scores lie."""

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_curve, roc_curve

from include.contracts.reports import Calibration, CalibrationBin, Curve, CurveKind, Histogram
from include.contracts.signatures import Task
from include.evaluation.scored import Array, Scored
from include.stats.reliability import (
    calibration_error,
    calibration_error_by_chance,
    debiased_calibration_error,
    reliability_bins,
)

POINTS = 100
BINS = 20


def calibration(candidate: Scored) -> Calibration | None:
    """Return the calibration of a classifier; for several classes, that of the likeliest one."""
    task = candidate.contract.task
    if task is Task.REGRESSION:
        return None
    if task is Task.BINARY:
        labels, scores = candidate.labels, candidate.scores[:, 0]
    else:
        labels = (candidate.scores.argmax(axis=1) == candidate.labels).astype(np.float64)
        scores = candidate.scores.max(axis=1)
    bins = reliability_bins(labels, scores)
    return Calibration(
        bins=tuple(
            CalibrationBin(
                rows=each.rows,
                mean_score=each.mean_score,
                observed=each.observed.value,
                low=each.observed.low,
                high=each.observed.high,
            )
            for each in bins
        ),
        expected_calibration_error=calibration_error(bins),
        expected_by_chance=calibration_error_by_chance(scores, seed=candidate.contract.training.seed),
        debiased_error=debiased_calibration_error(bins),
    )


def curves(candidate: Scored) -> tuple[Curve, ...]:
    """Return ROC and precision-recall of each class, or a regression's predictions against targets."""
    if candidate.contract.task is Task.REGRESSION:
        return (_predicted_observed(candidate), _residual_quantiles(candidate))
    return tuple(
        curve
        for label, is_class, scores in _one_against_rest(candidate)
        if 0 < is_class.sum() < len(is_class)
        for curve in _ranking_curves(label, is_class, scores)
    )


def histograms(candidate: Scored) -> tuple[Histogram, ...]:
    """Return how often scores fall where, by what the rows turned out to be."""
    if candidate.contract.task is Task.REGRESSION:
        parts = {"all": candidate.scores[:, 0]}
    elif candidate.contract.task is Task.BINARY:
        parts = {
            name: candidate.scores[candidate.labels == label, 0]
            for label, name in enumerate(("negative", "positive"))
        }
    else:
        parts = {
            label: candidate.scores[is_class == 1, place]
            for place, (label, is_class, _) in enumerate(_one_against_rest(candidate))
        }
    edges = np.histogram_bin_edges(candidate.scores, BINS)
    return tuple(
        Histogram(
            label=label, edges=tuple(edges.tolist()), counts=tuple(np.histogram(scores, edges)[0].tolist())
        )
        for label, scores in parts.items()
    )


def _one_against_rest(candidate: Scored) -> list[tuple[str, Array, Array]]:
    """Return each class: its name, whether each row is of it, and the rows' scores for it."""
    if candidate.contract.task is Task.BINARY:
        return [("candidate", candidate.labels, candidate.scores[:, 0])]
    return [
        (name, (candidate.labels == place).astype(np.float64), candidate.scores[:, place])
        for place, name in enumerate(candidate.contract.classes)
    ]


def _ranking_curves(label: str, is_class: Array, scores: Array) -> tuple[Curve, Curve]:
    alarms, hits, _ = roc_curve(is_class, scores)
    precision, recall, _ = precision_recall_curve(is_class, scores)
    return (
        _curve(CurveKind.ROC, label, alarms, hits),
        _curve(CurveKind.PRECISION_RECALL, label, recall[::-1], precision[::-1]),
    )


def _predicted_observed(candidate: Scored) -> Curve:
    scores = candidate.scores[:, 0]
    parts = np.array_split(np.argsort(scores, kind="stable"), min(BINS, len(scores)))
    predicted = np.array([scores[part].mean() for part in parts])
    observed = np.array([candidate.labels[part].mean() for part in parts])
    return _curve(CurveKind.PREDICTED_OBSERVED, "candidate", predicted, observed)


def _residual_quantiles(candidate: Scored) -> Curve:
    levels = np.linspace(0, 1, POINTS)
    residuals = np.quantile(candidate.scores[:, 0] - candidate.labels, levels)
    return _curve(CurveKind.RESIDUAL_QUANTILES, "candidate", levels, residuals)


def _curve(kind: CurveKind, label: str, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Curve:
    """Keep points evenly spread along the curve, its ends among them."""
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    kept = np.unique(np.searchsorted(length, np.linspace(0, length[-1], POINTS)).clip(max=len(x) - 1))
    return Curve(kind=kind, label=label, x=tuple(x[kept].tolist()), y=tuple(y[kept].tolist()))
