"""Bounds of group-sequential tests: the z that spends, look by look, just the error allowed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from include.stats.boundary_crossing import START, each_look
from include.stats.spending import (
    Floats,
    increasing_fractions,
    increasing_information,
    probability,
    spending_function,
    spent_alpha,
)


@dataclass(frozen=True)
class ErrorSpending:
    """How one error probability is spent over the looks: its size, and its spending function."""

    error: float
    spending: str = "obrien_fleming"
    parameter: float | None = None

    def __post_init__(self) -> None:
        """Refuse an error outside (0, 1), an unknown spending or a parameter it does not have."""
        probability(self.error, "the error to spend")
        spending_function(self.spending, self.parameter)

    def increments(self, fractions: Floats) -> Floats:
        """Return what is spent at each look."""
        return np.diff(spent_alpha(fractions, self.error, self.spending, self.parameter), prepend=0.0)


def critical_values(  # noqa: PLR0917 - the signature callers were promised
    fractions: ArrayLike,
    alpha: float = 0.05,
    sides: int = 2,
    spending: str = "obrien_fleming",
    parameter: float | None = None,
    information: ArrayLike | None = None,
) -> Floats:
    """Return the critical z of each look: reject where |Z| (two-sided) or Z (one-sided) exceeds it.

    Only the looks taken so far need be given: bounds of earlier looks do not depend on later ones. Where a
    look comes so early that its share of alpha rounds to nothing, its critical z is `NO_BOUND`.

    Args:
        fractions: spending time of each look, shape (looks,), strictly increasing in (0, 1].
        alpha: type I error over all looks; two-sided tests spend half of it on each side.
        sides: 1 or 2.
        spending: a name out of `SPENDINGS`.
        parameter: of the power and Hwang-Shih-DeCani families.
        information: information of each look in any unit, where it does not follow spending time, as when the
            last look comes early or late but must spend what is left of alpha.

    Raises:
        ValueError: fractions that do not increase in (0, 1], information that does not increase or has
            another length, alpha outside (0, 1), sides other than 1 and 2, or an unknown spending.
    """
    side = ErrorSpending(alpha / number_of_sides(sides), spending, parameter)
    upper, _ = asymmetric_critical_values(fractions, side, side if sides == 2 else None, information)  # noqa: PLR2004
    return upper


def asymmetric_critical_values(
    fractions: ArrayLike,
    upper: ErrorSpending,
    lower: ErrorSpending | None,
    information: ArrayLike | None = None,
) -> tuple[Floats, Floats]:
    """Return the upper and the lower bound of Z at each look, where each side spends an alpha of its own.

    Args:
        fractions: spending time of each look, shape (looks,), strictly increasing in (0, 1].
        upper: what the upper bound spends.
        lower: what the lower bound spends; None for a one-sided test, whose lower bound is minus infinity.
        information: as in `critical_values`.

    Raises:
        ValueError: as `critical_values` does, or errors of both sides that add up to 1 or more.
    """
    times = increasing_fractions(fractions)
    levels = _information(times, information)
    if lower is not None and upper.error + lower.error >= 1.0:
        raise ValueError(f"the two sides spend {upper.error + lower.error:g} together; it must stay below 1")
    rises = upper.increments(times)
    falls = np.zeros_like(times) if lower is None else lower.increments(times)
    uppers, lowers = np.empty_like(times), np.empty_like(times)
    density = START
    for look, level, ahead in each_look(levels):
        uppers[look] = density.bound_above(level, rises[look], 0.0)
        lowers[look] = -np.inf if lower is None else density.bound_below(level, falls[look], 0.0)
        if ahead > 0.0:
            density = density.advance(level, (lowers[look], uppers[look]), 0.0, ahead)
    return uppers, lowers


def futility_bounds(
    fractions: ArrayLike,
    upper: Floats,
    beta: ErrorSpending,
    drift: float,
    information: ArrayLike | None = None,
) -> Floats:
    """Return the lower bounds of Z that spend the type II error, look by look, under the alternative.

    They are non-binding: `upper` was computed as if they were not there, so that crossing one and going on
    nevertheless costs no alpha. A futility bound never exceeds the upper bound; where they meet, the look
    decides either way.

    Args:
        fractions: spending time of each look, shape (looks,), strictly increasing in (0, 1].
        upper: efficacy bounds of Z, shape (looks,).
        beta: how the type II error is spent.
        drift: mean of Z at information 1 under the alternative.
        information: as in `critical_values`; the fractions where None.

    Raises:
        ValueError: as `critical_values` does.
    """
    times = increasing_fractions(fractions)
    levels = _information(times, information)
    losses = beta.increments(times)
    lowers = np.empty_like(times)
    density = START
    for look, level, ahead in each_look(levels):
        left = float(density.masses.sum())
        spendable = losses[look] < left
        lowers[look] = (
            min(upper[look], density.bound_below(level, losses[look], drift)) if spendable else upper[look]
        )
        if ahead > 0.0:
            density = density.advance(level, (lowers[look], upper[look]), drift, ahead)
    return lowers


def number_of_sides(sides: int) -> int:
    """Return `sides`.

    Raises:
        ValueError: it is neither 1 nor 2.
    """
    if sides not in (1, 2):
        raise ValueError(f"a test has 1 or 2 sides, not {sides}")
    return sides


def _information(times: Floats, information: ArrayLike | None) -> Floats:
    if information is None:
        return times
    levels = increasing_information(information)
    if levels.shape != times.shape:
        raise ValueError(f"information is given for {levels.size} looks, spending time for {times.size}")
    return levels
