"""What a group-sequential test has shown: p-values, intervals and estimates that allow for its looks."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtr

from include.stats.boundary_crossing import crossing_probabilities
from include.stats.critical_values import critical_values, number_of_sides
from include.stats.spending import Floats, increasing_information, probability

SMALLEST_P_VALUE = 1e-12
"""Repeated p-values are not resolved below this; what is smaller is reported as this."""
_LARGEST_P_VALUE = 1.0 - 1e-9


def nominal_p_values(z: ArrayLike, sides: int = 2) -> Floats:
    """Return the p-values as if each look were the only one; compare them with `nominal_levels`, not alpha.

    Raises:
        ValueError: sides other than 1 and 2.
    """
    statistics = np.asarray(z, dtype=np.float64)
    if number_of_sides(sides) == 1:
        return np.asarray(ndtr(-statistics), dtype=np.float64)
    return np.asarray(2.0 * ndtr(-np.abs(statistics)), dtype=np.float64)


def nominal_levels(critical: ArrayLike, sides: int = 2) -> Floats:
    """Return the nominal p-value below which each look rejects, from its critical z."""
    return nominal_p_values(critical, sides)


def repeated_p_values(
    z: ArrayLike,
    fractions: ArrayLike,
    sides: int = 2,
    *,
    spending: str = "obrien_fleming",
    parameter: float | None = None,
    information: ArrayLike | None = None,
) -> Floats:
    """Return, for each look, the smallest alpha at which the test would have rejected at that very look.

    They may be compared with alpha at any look (Jennison & Turnbull 2000, chapter 9); their running minimum
    is the sequential p-value of Liu & Anderson (2008, JASA 103:1539). Values below `SMALLEST_P_VALUE` are
    reported as that.

    Args:
        z: statistic at each look so far, shape (looks,); one-sided tests reject for large values.
        fractions: spending time of each look, as in `critical_values`.
        sides: 1 or 2.
        spending: a name out of `SPENDINGS`.
        parameter: of the power and Hwang-Shih-DeCani families.
        information: as in `critical_values`.

    Raises:
        ValueError: as `critical_values` does, or a number of statistics other than that of looks.
    """
    times = np.array(fractions, dtype=np.float64, ndmin=1)
    statistics = np.array(z, dtype=np.float64, ndmin=1)
    if statistics.shape != times.shape:
        raise ValueError(f"{statistics.size} statistics for {times.size} looks")
    size = statistics if number_of_sides(sides) == 1 else np.abs(statistics)
    levels = times if information is None else np.array(information, dtype=np.float64, ndmin=1)

    def excess(alpha: float, look: int) -> float:
        so_far = slice(look + 1)
        bounds = critical_values(times[so_far], alpha, sides, spending, parameter, levels[so_far])
        return float(bounds[look] - size[look])

    return np.array([_smallest_alpha(partial(excess, look=look)) for look in range(times.size)])


def _smallest_alpha(excess: Callable[[float], float]) -> float:
    """Return the alpha at which the bound meets the statistic; `excess` is bound less statistic."""
    if excess(SMALLEST_P_VALUE) <= 0.0:
        return SMALLEST_P_VALUE
    if excess(_LARGEST_P_VALUE) >= 0.0:
        return 1.0
    low, high = np.log([SMALLEST_P_VALUE, _LARGEST_P_VALUE])
    return float(np.exp(brentq(lambda exponent: excess(float(np.exp(exponent))), low, high, xtol=1e-10)))


def repeated_confidence_intervals(
    estimates: ArrayLike, standard_errors: ArrayLike, critical: ArrayLike
) -> tuple[Floats, Floats]:
    """Return lower and upper limits that hold at all looks at once, whether or not one stops.

    Args:
        estimates: effect at each look, shape (looks,).
        standard_errors: of each estimate.
        critical: two-sided critical z of each look.

    Raises:
        ValueError: a standard error that is not positive, or lengths that differ.
    """
    centre, errors, bounds = (
        np.asarray(values, dtype=np.float64) for values in (estimates, standard_errors, critical)
    )
    if not centre.shape == errors.shape == bounds.shape:
        raise ValueError(
            f"estimates, standard errors and bounds differ in length: {centre.size, errors.size, bounds.size}"
        )
    if not np.all(errors > 0.0):
        raise ValueError(f"standard errors must be positive; got {errors.tolist()}")
    half = bounds * errors
    return centre - half, centre + half


def stagewise_p_value(
    information: ArrayLike, upper: ArrayLike, z: float, lower: ArrayLike | None = None, drift: float = 0.0
) -> float:
    """Return the one-sided p-value of a test that has stopped, by stagewise ordering.

    Stopping earlier at the upper bound is stronger evidence than stopping later; within a look, a larger Z is
    (Armitage 1957; Jennison & Turnbull 2000, section 8.4). Looks that never took place do not enter.

    Args:
        information: information of each look up to the stop, shape (looks,).
        upper: upper bounds up to the stop, shape (looks,).
        z: the statistic at the last of them.
        lower: lower bounds likewise, where crossing one stops the test.
        drift: mean of Z at information 1 under the hypothesis; 0 for no effect.

    Raises:
        ValueError: as `exit_probabilities` does.
    """
    levels = increasing_information(information)
    thresholds = np.array(np.broadcast_to(np.asarray(upper, dtype=np.float64), levels.shape))
    floor = np.array(
        np.broadcast_to(np.asarray(-np.inf if lower is None else lower, dtype=np.float64), levels.shape)
    )
    thresholds[-1], floor[-1] = z, min(z, floor[-1])
    above, _ = crossing_probabilities(levels, thresholds, floor, drift)
    return float(above.sum())


def stagewise_interval(
    information: ArrayLike,
    upper: ArrayLike,
    z: float,
    lower: ArrayLike | None = None,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Return the confidence limits of the drift (mean of Z at information 1), by stagewise ordering.

    Divide by the square root of the information that counts as 1 to have limits of the effect.

    Raises:
        ValueError: as `stagewise_p_value` does, or a confidence outside (0, 1).
    """
    tail = (1.0 - probability(confidence, "confidence")) / 2.0
    return (
        _drift_at(tail, information, upper, z, lower),
        _drift_at(1.0 - tail, information, upper, z, lower),
    )


def median_unbiased_drift(
    information: ArrayLike, upper: ArrayLike, z: float, lower: ArrayLike | None = None
) -> float:
    """Return the drift that the test over- and underestimates equally often, by stagewise ordering.

    The plain estimate exaggerates an effect that stopped a test early; this one does not.

    Raises:
        ValueError: as `stagewise_p_value` does.
    """
    return _drift_at(0.5, information, upper, z, lower)


def _drift_at(
    p_value: float, information: ArrayLike, upper: ArrayLike, z: float, lower: ArrayLike | None
) -> float:
    """Return the drift under which the stagewise p-value is the one given; it grows with the drift."""
    levels = increasing_information(information)
    centre = z / float(np.sqrt(levels[-1]))
    reach = 4.0 / float(np.sqrt(levels[0]))

    def excess(drift: float) -> float:
        return stagewise_p_value(levels, upper, z, lower, drift) - p_value

    low, high = centre - reach, centre + reach
    while excess(low) > 0.0:
        low -= reach
    while excess(high) < 0.0:
        high += reach
    return float(brentq(excess, low, high, xtol=1e-10))
