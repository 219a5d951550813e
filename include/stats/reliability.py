"""Reliability of probabilities: bins of neighbouring scores, and how much of their gap is chance."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from include.stats.intervals import Interval
from include.stats.metrics import CALIBRATION_BINS, Array
from include.stats.proportions import wilson_interval
from include.stats.sufficient_statistics import Proportion

CHANCE_DRAWS = 200


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows of neighbouring scores."""

    rows: int
    mean_score: float
    observed: Interval
    """Share of positives, with Wilson's 95 % limits."""


def reliability_bins(
    labels: Array, scores: Array, bins: int = CALIBRATION_BINS
) -> tuple[ReliabilityBin, ...]:
    """Return bins of equal mass in order of score; fewer where there are fewer rows than bins.

    Args:
        labels: 0 and 1, [n].
        scores: probabilities of 1, [n].
        bins: how many.
    """
    order = np.argsort(scores, kind="stable")
    parts = np.split(order, _starts(len(order), bins)[1:])
    return tuple(
        ReliabilityBin(
            rows=len(part),
            mean_score=float(scores[part].mean()),
            observed=wilson_interval(Proportion(successes=int(labels[part].sum()), trials=len(part))),
        )
        for part in parts
    )


def calibration_error(bins: tuple[ReliabilityBin, ...]) -> float:
    """Return the plain expected calibration error: the mean absolute gap, weighted by rows."""
    rows = sum(each.rows for each in bins)
    return sum(each.rows * abs(each.mean_score - each.observed.value) for each in bins) / rows


def debiased_calibration_error(bins: tuple[ReliabilityBin, ...]) -> float:
    """Return the root mean squared gap less its sampling variance; 0 where chance explains all of it.

    Kumar, Liang & Ma 2019, "Verified Uncertainty Calibration", section 5. Bins of one row are left out.
    """
    judged = [each for each in bins if each.rows > 1]
    rows = sum(each.rows for each in judged)
    squared = sum(
        each.rows
        * (
            (each.mean_score - each.observed.value) ** 2
            - each.observed.value * (1 - each.observed.value) / (each.rows - 1)
        )
        for each in judged
    )
    return float(np.sqrt(max(0.0, squared / rows))) if rows else 0.0


def calibration_error_by_chance(
    scores: Array, *, seed: int, bins: int = CALIBRATION_BINS, draws: int = CHANCE_DRAWS
) -> float:
    """Return the plain error that perfectly calibrated scores would show, on average over drawn labels."""
    ranked, dice = np.sort(scores), np.random.default_rng(seed)
    starts = _starts(len(ranked), bins)
    gaps = np.empty((draws, len(starts)))
    for draw in range(draws):  # all at once would take as many times the memory of the scores
        labels = dice.random(len(ranked)) < ranked
        gaps[draw] = np.add.reduceat(labels - ranked, starts)
    return float(np.abs(gaps).sum(axis=1).mean() / len(ranked))


def _starts(rows: int, bins: int) -> npt.NDArray[np.int64]:
    """Return where each bin begins: the bins of the metric `expected_calibration_error`."""
    count = min(bins, rows)
    return -(-np.arange(count) * rows // count)
