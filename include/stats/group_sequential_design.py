"""Plans of group-sequential tests: the drift that gives the power, what it costs, when it may end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtri

from include.stats.boundary_crossing import exit_probabilities
from include.stats.critical_values import ErrorSpending, critical_values, futility_bounds, number_of_sides
from include.stats.spending import ROUNDING, Floats, increasing_fractions, probability

_PRECISION = 1e-10
"""To which the drift is found."""


@dataclass(frozen=True)
class GroupSequentialDesign:
    """A planned test: its looks, its bounds, and what it takes to reach its power."""

    fractions: tuple[float, ...]
    """Information fraction of each look; the last is 1."""
    upper: tuple[float, ...]
    """Reject for an effect in the planned direction where Z exceeds this."""
    lower: tuple[float, ...]
    """Two-sided: reject for an effect in the other direction below this. One-sided: the non-binding futility
    bound, which at the last look is the upper one; minus infinity where there is none."""
    drift: float
    """Mean of Z at fraction 1 under the planned effect."""
    inflation_factor: float
    """Largest information over that of a fixed-sample test of the same power."""
    expected_fraction_null: float
    """Expected information under no effect, as a share of the largest."""
    expected_fraction_alternative: float
    """Expected information under the planned effect, as a share of the largest."""


def plan_design(
    fractions: ArrayLike,
    alpha: float = 0.05,
    sides: int = 2,
    power: float = 0.8,
    *,
    spending: str = "obrien_fleming",
    parameter: float | None = None,
    futility: str | None = None,
    futility_parameter: float | None = None,
) -> GroupSequentialDesign:
    """Return the design that reaches the power with the looks asked for.

    Power is the probability of rejecting in the direction of the planned effect: the other direction, whose
    chance is around 1e-6, is not counted as a success.

    Args:
        fractions: planned information fractions, shape (looks,), strictly increasing, the last one 1.
        alpha: type I error over all looks and sides.
        sides: 1 or 2.
        power: at the planned effect, above alpha.
        spending: a name out of `SPENDINGS`.
        parameter: of the power and Hwang-Shih-DeCani families.
        futility: the spending function of the type II error, for non-binding futility bounds; None for none.
            Futility has a direction, so it needs sides=1.
        futility_parameter: its parameter.

    Raises:
        ValueError: as `critical_values` does; fractions that do not end at 1, a power outside (alpha, 1), or
            futility bounds for a two-sided test.
    """
    times = _planned(fractions)
    upper = critical_values(times, alpha, sides, spending, parameter)
    fixed = _fixed_drift(alpha, sides, power)
    if futility is None:
        lower = -upper if sides == 2 else np.full_like(upper, -np.inf)  # noqa: PLR2004
        drift = _solve(lambda effect: _power(times, upper, lower, effect), power, fixed)
    elif sides == 1:
        beta = ErrorSpending(1.0 - power, futility, futility_parameter)
        drift = _solve(lambda effect: _power_with_futility(times, upper, beta, effect), power, fixed)
        lower = np.append(futility_bounds(times, upper, beta, drift)[:-1], upper[-1])
    else:
        raise ValueError("futility has a direction: plan a one-sided test, with half of alpha")
    return GroupSequentialDesign(
        fractions=tuple(times.tolist()),
        upper=tuple(upper.tolist()),
        lower=tuple(lower.tolist()),
        drift=drift,
        inflation_factor=(drift / fixed) ** 2,
        expected_fraction_null=expected_fraction(times, upper, lower, 0.0),
        expected_fraction_alternative=expected_fraction(times, upper, lower, drift),
    )


def inflation_factor(  # noqa: PLR0917 - the signature callers were promised
    fractions: ArrayLike,
    alpha: float = 0.05,
    sides: int = 2,
    power: float = 0.8,
    spending: str = "obrien_fleming",
    parameter: float | None = None,
) -> float:
    """Return by how much looking early raises the largest sample size, over one look at the end.

    Arguments and errors are those of `plan_design`.
    """
    return plan_design(
        fractions, alpha, sides, power, spending=spending, parameter=parameter
    ).inflation_factor


def drift_for_power(
    fractions: ArrayLike, upper: ArrayLike, lower: ArrayLike | None = None, power: float = 0.8
) -> float:
    """Return the mean of Z at fraction 1 with which the upper bound is crossed with the given probability.

    Raises:
        ValueError: as `exit_probabilities` does, or a power outside (0, 1) or reached without any effect.
    """
    times = increasing_fractions(fractions)
    probability(power, "power")
    return _solve(lambda effect: _power(times, upper, lower, effect), power, 1.0)


def expected_fraction(
    fractions: ArrayLike, upper: ArrayLike, lower: ArrayLike | None = None, drift: float = 0.0
) -> float:
    """Return the expected information fraction at which the test stops; it stops at the last look at latest.

    Arguments and errors are those of `exit_probabilities`. Times the largest sample size, this is the
    expected sample size.
    """
    times = increasing_fractions(fractions)
    above, below = exit_probabilities(times, upper, lower, drift)
    going_on = 1.0 - np.concatenate(([0.0], np.cumsum(above + below)[:-1]))
    return float(np.diff(times, prepend=0.0) @ going_on)


def _planned(fractions: ArrayLike) -> Floats:
    times = increasing_fractions(fractions)
    if times[-1] < 1.0 - ROUNDING:
        raise ValueError(f"a plan ends at information fraction 1, not {times[-1]:g}")
    times[-1] = 1.0
    return times


def _fixed_drift(alpha: float, sides: int, power: float) -> float:
    """Return the mean of Z that a fixed-sample test needs."""
    per_side = probability(alpha, "alpha") / number_of_sides(sides)
    if not per_side < power < 1.0:
        raise ValueError(
            f"power lies between the type I error of a side ({per_side:g}) and 1, not at {power}"
        )
    return float(-ndtri(per_side) + ndtri(power))


def _power(times: Floats, upper: ArrayLike, lower: ArrayLike | None, drift: float) -> float:
    return float(exit_probabilities(times, upper, lower, drift)[0].sum())


def _power_with_futility(times: Floats, upper: Floats, beta: ErrorSpending, drift: float) -> float:
    return _power(times, upper, futility_bounds(times, upper, beta, drift), drift)


def _solve(power_at: Callable[[float], float], power: float, start: float) -> float:
    """Return the drift with the wanted power."""
    if power_at(0.0) >= power:
        raise ValueError(f"a power of {power:g} is reached without any effect")
    high = start
    while power_at(high) < power:
        high *= 1.5
    return float(brentq(lambda drift: power_at(drift) - power, 0.0, high, xtol=_PRECISION))


def equally_spaced(looks: int) -> Sequence[float]:
    """Return the fractions of equally spaced looks.

    Raises:
        ValueError: fewer than one look.
    """
    if looks < 1:
        raise ValueError(f"a test has at least one look, not {looks}")
    return tuple((look + 1) / looks for look in range(looks))
