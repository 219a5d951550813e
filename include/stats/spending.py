"""Alpha spending: how much of the type I error a sequential test may have used by each look.

Spending functions rise from 0 at information fraction 0 to alpha at 1. Because only the fractions reached so
far enter the bounds, looks need not be planned, nor equally spaced (Lan & DeMets 1983, Biometrika 70:659).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]
"""A one-dimensional array of float64."""

ROUNDING = 1e-9
"""Fractions this close above 1 are taken for 1: sums of equal steps rarely end there exactly."""

DEFAULT_PARAMETERS = {"power": 3.0, "hwang_shih_decani": -4.0}
"""Both resemble O'Brien-Fleming: almost nothing early, nearly the whole of alpha left at the end."""


def spent_alpha(
    fractions: ArrayLike, alpha: float, spending: str = "obrien_fleming", parameter: float | None = None
) -> Floats:
    """Return the cumulative alpha spent at each look, by one spending function.

    Args:
        fractions: information fractions, shape (looks,), strictly increasing in (0, 1].
        alpha: what is spent at fraction 1, in (0, 1). It is taken as it is: for one side of a two-sided test
            pass half of it, as `critical_values` does.
        spending: obrien_fleming and pocock (Lan & DeMets 1983), power (Kim & DeMets 1987, Biometrika 74:149),
            hwang_shih_decani (1990, Statistics in Medicine 9:1439) or linear.
        parameter: the exponent of `power` (default 3), gamma of `hwang_shih_decani` (default -4).

    Raises:
        ValueError: fractions that do not increase in (0, 1], alpha outside (0, 1), an unknown spending, or a
            parameter the spending does not have.
    """
    return spending_function(spending, parameter)(
        increasing_fractions(fractions), probability(alpha, "alpha")
    )


def spending_function(spending: str, parameter: float | None = None) -> Callable[[Floats, float], Floats]:
    """Return the spending function of a name: (fractions, alpha) -> cumulative alpha.

    Raises:
        ValueError: an unknown spending, or a parameter the spending does not have.
    """
    if spending in _PLAIN:
        if parameter is not None:
            raise ValueError(f"spending {spending!r} has no parameter; got {parameter}")
        return _PLAIN[spending]
    if spending not in _FAMILIES:
        raise ValueError(f"unknown spending {spending!r}; choose one of {', '.join(SPENDINGS)}")
    return _FAMILIES[spending](DEFAULT_PARAMETERS[spending] if parameter is None else parameter)


def obrien_fleming(fractions: Floats, alpha: float) -> Floats:
    """Spend 2 - 2 Phi(z / sqrt(t)), where z is the upper alpha/2 (not alpha) point of the normal."""
    return np.asarray(2.0 * ndtr(ndtri(alpha / 2.0) / np.sqrt(fractions)), dtype=np.float64)


def pocock(fractions: Floats, alpha: float) -> Floats:
    """Spend alpha log(1 + (e - 1) t)."""
    return np.asarray(alpha * np.log1p(np.expm1(1.0) * fractions), dtype=np.float64)


def linear(fractions: Floats, alpha: float) -> Floats:
    """Spend alpha t."""
    return alpha * fractions


def power_family(exponent: float) -> Callable[[Floats, float], Floats]:
    """Return alpha t^exponent.

    Raises:
        ValueError: an exponent that is not above 0.
    """
    if not (np.isfinite(exponent) and exponent > 0.0):
        raise ValueError(f"the parameter of spending 'power' is an exponent above 0, not {exponent}")
    return lambda fractions, alpha: alpha * fractions**exponent


def hwang_shih_decani(gamma: float) -> Callable[[Floats, float], Floats]:
    """Return alpha (1 - e^(-gamma t)) / (1 - e^(-gamma)), which is linear at gamma 0.

    Raises:
        ValueError: a gamma outside [-40, 40], where all is spent at the first, or at the last look.
    """
    if not abs(gamma) <= 40.0:  # noqa: PLR2004 - the same bound gsDesign documents for sfHSD
        raise ValueError(f"the parameter of spending 'hwang_shih_decani' lies in [-40, 40], not {gamma}")
    if gamma == 0.0:
        return linear
    return lambda fractions, alpha: alpha * np.expm1(-gamma * fractions) / np.expm1(-gamma)


_PLAIN: dict[str, Callable[[Floats, float], Floats]] = {
    "obrien_fleming": obrien_fleming,
    "pocock": pocock,
    "linear": linear,
}
_FAMILIES: dict[str, Callable[[float], Callable[[Floats, float], Floats]]] = {
    "power": power_family,
    "hwang_shih_decani": hwang_shih_decani,
}
SPENDINGS = ("obrien_fleming", "pocock", "power", "hwang_shih_decani", "linear")
"""The names of the spending functions."""


def spending_fractions(information: ArrayLike, planned: float, final: bool) -> Floats:
    """Return the spending time of looks whose information is known, so that a final look spends all of alpha.

    A plan that ends early (under-running) or late (over-running) must still spend exactly alpha: the last
    look counts as fraction 1 whatever its information. Feed the result to `critical_values` as `fractions`
    and the real information as `information`.

    Args:
        information: information at each look so far, shape (looks,), strictly increasing and positive.
        planned: the information the plan ends with.
        final: whether the last of them is the last look there will be.

    Raises:
        ValueError: information that does not increase, a planned information that is not positive, or a look
            before the last that reaches the planned information (it should have been the final one).
    """
    reached = increasing_information(information)
    if not planned > 0.0:
        raise ValueError(f"the planned information is positive, not {planned}")
    fractions = reached / planned
    if final:
        fractions[-1] = 1.0
    return increasing_fractions(fractions)


def increasing_fractions(fractions: ArrayLike) -> Floats:
    """Return the fractions as an array.

    Raises:
        ValueError: they do not increase strictly within (0, 1], or there are none.
    """
    values = increasing_information(fractions, "information fractions")
    if values[-1] > 1.0 + ROUNDING:
        raise ValueError(
            f"information fractions lie in (0, 1], but look {len(values)} is at {values[-1]:g}; where the "
            "last look comes late, pass fraction 1 and the real information as `information`"
        )
    return np.minimum(values, 1.0)


def increasing_information(information: ArrayLike, what: str = "information") -> Floats:
    """Return the information of each look as a new array.

    Raises:
        ValueError: it is empty, not one-dimensional, not finite and positive, or does not increase strictly.
    """
    values = np.array(information, dtype=np.float64, ndmin=1)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"{what}: give one number a look, at least one; got shape {values.shape}")
    if not np.all(np.isfinite(values) & (values > 0.0)):
        raise ValueError(f"{what} must be positive and finite; got {values.tolist()}")
    if np.any(np.diff(values) <= 0.0):
        raise ValueError(f"{what} must increase strictly from look to look; got {values.tolist()}")
    return values


def probability(value: float, name: str) -> float:
    """Return the value.

    Raises:
        ValueError: it lies outside (0, 1).
    """
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name} lies strictly between 0 and 1, not at {value}")
    return value
