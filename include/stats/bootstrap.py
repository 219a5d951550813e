"""Bootstrap over units: how sure one may be of a metric, and that one model is better than another."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from include.stats.intervals import Estimate
from include.stats.metrics import Array, Weighted

RESAMPLES = 500
CONFIDENCE = 0.95


@dataclass(frozen=True)
class PairedDifference:
    """A difference of two metrics, first minus second, with one-sided percentile limits."""

    difference: float
    lower: float
    """The difference is above this with the given confidence."""
    upper: float
    """The difference is below this with the given confidence."""
    confidence: float
    resamples: int


def paired_difference(
    first: Weighted,
    second: Weighted,
    units: npt.NDArray[np.object_],
    *,
    seed: int,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> PairedDifference:
    """Return the difference of two metrics over the same rows, with its percentile interval.

    Both metrics see the same resample, so what they share cancels out (Efron & Tibshirani 1993,
    "An Introduction to the Bootstrap", chapters 8 and 13). Units are drawn, not rows, since the rows
    of one unit are not independent. A resample on which a metric is undefined (one class only)
    is left out of the interval.

    Args:
        first: metric as a function of row weights, from `weighted_metric`.
        second: the metric subtracted from it.
        units: the unit of each row [n].
        seed: same rows and seed, same interval.
        confidence: of each limit by itself.
        resamples: how many.

    Raises:
        ValueError: no resample had a defined difference.
    """
    unit_of_row = np.unique(units.astype(str), return_inverse=True)[1]
    rows = np.ones(len(units))
    differences = _resampled(
        lambda weights: first(weights) - second(weights), unit_of_row, resamples, np.random.default_rng(seed)
    )
    lower, upper = np.quantile(differences, [1 - confidence, confidence])
    return PairedDifference(
        first(rows) - second(rows), float(lower), float(upper), confidence, len(differences)
    )


def bootstrap_estimate(
    metric: Weighted, units: npt.NDArray[np.object_], *, seed: int, resamples: int = RESAMPLES
) -> Estimate:
    """Return a metric with the standard error that drawing units anew gives it.

    Args:
        metric: as a function of row weights, from `weighted_metric`.
        units: the unit of each row [n].
        seed: same rows and seed, same error.
        resamples: how many.

    Raises:
        ValueError: no resample had a defined value.
    """
    unit_of_row = np.unique(units.astype(str), return_inverse=True)[1]
    drawn = _resampled(metric, unit_of_row, resamples, np.random.default_rng(seed))
    return Estimate(metric(np.ones(len(units))), float(drawn.std()))


def _resampled(
    metric: Weighted,
    unit_of_row: npt.NDArray[np.int64],
    resamples: int,
    generator: np.random.Generator,
) -> Array:
    count = int(unit_of_row.max()) + 1
    values = np.empty(resamples)
    for index in range(resamples):
        drawn = np.bincount(generator.integers(count, size=count), minlength=count)
        weights = drawn[unit_of_row].astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            values[index] = metric(weights)
    defined = values[np.isfinite(values)]
    if not len(defined):
        raise ValueError(f"none of {resamples} resamples of {count} units had a defined value")
    return defined
