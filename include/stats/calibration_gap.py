"""How far scores are from the shares that came true, with chance taken off and an interval."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from include.stats.metrics import CALIBRATION_BINS, Array


@dataclass(frozen=True)
class CalibrationGap:
    """An expected calibration error, as it is computed and as far as the rows support it."""

    plain: float
    """The mean gap over the bins. Never 0: chance alone makes gaps, the more the fewer rows a bin has."""
    debiased: float
    """The gap that one part of the rows finds again in another; 0 on average for calibrated scores."""
    low: float
    high: float
    """Two-sided limits of the debiased gap."""


def calibration_gap(
    labels: Array,
    scores: Array,
    *,
    bins: int = CALIBRATION_BINS,
    independent: float | None = None,
    confidence: float = 0.95,
) -> CalibrationGap:
    """Return the expected calibration error over bins of equal mass, plain and debiased.

    The debiased gap of a bin takes the sign of the gap from one half of its rows and the size from the other,
    on average over all halvings. For a gap d with standard error s that is
    d (2 F(d / s) - 1) - 2 s f(d / s), f and F the normal density and distribution: 0 on average where the
    true gap is 0, |d| where it is plain to see, and never more than the true gap on average. So what it finds
    above a threshold is there. (The plain estimate and its bias: Roelofs et al. 2022, "Mitigating Bias in
    Calibration Error Estimation".)

    Args:
        labels: 0 and 1, [n].
        scores: probabilities of 1, [n].
        bins: how many.
        independent: rows that count as independent, where rows repeat one another; None means all.
        confidence: of the limits.

    Raises:
        ValueError: there are no rows.
    """
    if not len(labels):
        raise ValueError("calibration of no rows is not defined")
    order = np.argsort(scores, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    weight = np.array([len(part) for part in parts]) / len(labels)
    gap = np.array([(scores[part] - labels[part]).mean() for part in parts])
    # As calibrated scores would spread, or as these do, whichever is more: a bin of zeros only has no spread.
    expected = np.array([(scores[part] * (1 - scores[part])).mean() for part in parts])
    found = np.array([(scores[part] - labels[part]).var() for part in parts])
    repeats = len(labels) / independent if independent else 1.0
    variance = np.maximum(expected, found) / (weight * len(labels)) * repeats
    debiased = float(weight @ _found_again(gap, np.sqrt(variance)))
    margin = float(ndtri(0.5 + confidence / 2)) * float(np.sqrt(weight**2 @ variance))
    return CalibrationGap(
        plain=float(weight @ np.abs(gap)), debiased=debiased, low=debiased - margin, high=debiased + margin
    )


def _found_again(gap: Array, error: Array) -> Array:
    error = np.maximum(error, np.finfo(np.float64).tiny)
    z = gap / error
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    found: Array = gap * (2 * ndtr(z) - 1) - 2 * error * density
    return found
