"""Confidence sequences: intervals that hold at all times at once, for metrics watched continuously.

A group-sequential test is stronger where looks can be counted. Health metrics are watched continuously: there
an interval must be true at every moment, also at the one somebody chose because it looked bad.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import lambertw

from include.stats.spending import Floats, probability

_LARGEST_BET = 0.5
"""Cap of the betting fraction, as its authors recommend."""


@dataclass(frozen=True)
class ConfidenceSequence:
    """Lower and upper limits at each time, shape (times,)."""

    low: Floats
    high: Floats

    def running(self) -> "ConfidenceSequence":
        """Return the intersection of all intervals so far: as valid, and never wider again."""
        return ConfidenceSequence(np.maximum.accumulate(self.low), np.minimum.accumulate(self.high))


def mixing_variance(information: float, alpha: float = 0.05) -> float:
    """Return the mixing variance with which `normal_mixture_sequence` is tightest at that information.

    Raises:
        ValueError: information that is not positive, or alpha outside (0, 1).
    """
    if not information > 0.0:
        raise ValueError(f"information is positive, not {information}")
    squared = probability(alpha, "alpha") ** 2
    return float(-lambertw(-squared / np.e, -1).real - 1.0) / information


def normal_mixture_sequence(
    estimates: ArrayLike, standard_errors: ArrayLike, tightest_at: float, alpha: float = 0.05
) -> ConfidenceSequence:
    """Return asymptotic always-valid limits of an effect from its estimates over time.

    Robbins' normal mixture with estimated errors (Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, Annals
    of Statistics 52:2613). It serves means, differences and ratios alike: all it needs is the standard error.
    Do not start before the errors themselves are well estimated (some hundred units an arm).

    Args:
        estimates: estimate at each time, shape (times,), all from data that only grow.
        standard_errors: of each, positive.
        tightest_at: the standard error at which the sequence shall be tightest: about that of the smallest
            sample at which a decision is likely.
        alpha: probability of ever missing the truth.

    Raises:
        ValueError: shapes that differ, errors that are not positive, or alpha outside (0, 1).
    """
    centre, errors, spread = _mixture(estimates, standard_errors, tightest_at, alpha)
    half = errors * np.sqrt((1.0 + 1.0 / spread) * np.log((1.0 + spread) / alpha**2))
    return ConfidenceSequence(centre - half, centre + half)


def always_valid_p_values(
    estimates: ArrayLike, standard_errors: ArrayLike, tightest_at: float, alpha: float = 0.05
) -> Floats:
    """Return p-values of no effect that may be watched: at each time the smallest so far.

    It is at most alpha just when the `normal_mixture_sequence` of the same arguments has excluded 0 (mixture
    sequential probability ratio test: Johari, Koomen, Pekelis & Walsh 2022, Operations Research 70:1806).

    Raises:
        ValueError: as `normal_mixture_sequence` does.
    """
    centre, errors, spread = _mixture(estimates, standard_errors, tightest_at, alpha)
    exponent = 0.5 * (np.log1p(spread) - (centre / errors) ** 2 * spread / (1.0 + spread))
    return np.minimum.accumulate(np.exp(np.minimum(exponent, 0.0)))


def bounded_mean_sequence(values: ArrayLike, alpha: float = 0.05) -> ConfidenceSequence:
    """Return limits of the mean of numbers within [0, 1] after each of them, at any sample size.

    The predictable plug-in empirical-Bernstein sequence (Waudby-Smith & Ramdas 2024, JRSS B 86:1, theorem 2):
    it assumes no distribution, and shrinks with the variance seen. One number a unit, in order of arrival.

    Raises:
        ValueError: no values, some outside [0, 1], or alpha outside (0, 1).
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.size == 0 or not np.all((x >= 0.0) & (x <= 1.0)):
        raise ValueError("give at least one value, all of them within [0, 1]")
    penalty = np.log(2.0 / probability(alpha, "alpha"))
    times = np.arange(1, x.size + 1, dtype=np.float64)
    means = (0.5 + np.cumsum(x)) / (times + 1.0)
    variances = (0.25 + np.cumsum((x - means) ** 2)) / (times + 1.0)
    known_mean, known_variance = np.append(0.5, means[:-1]), np.append(0.25, variances[:-1])
    bets = np.minimum(np.sqrt(2.0 * penalty / (known_variance * times * np.log1p(times))), _LARGEST_BET)
    total = np.cumsum(bets)
    centre = np.cumsum(bets * x) / total
    half = (penalty + np.cumsum((x - known_mean) ** 2 * (-np.log1p(-bets) - bets))) / total
    return ConfidenceSequence(np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0))


def _mixture(
    estimates: ArrayLike, standard_errors: ArrayLike, tightest_at: float, alpha: float
) -> tuple[Floats, Floats, Floats]:
    """Return estimates, errors, and information times mixing variance."""
    centre, errors = np.asarray(estimates, dtype=np.float64), np.asarray(standard_errors, dtype=np.float64)
    if centre.shape != errors.shape:
        raise ValueError(f"estimates and standard errors differ in shape: {centre.shape} and {errors.shape}")
    if not (np.all(errors > 0.0) and tightest_at > 0.0):
        raise ValueError("standard errors must be positive")
    return centre, errors, mixing_variance(1.0 / tightest_at**2, alpha) / errors**2
