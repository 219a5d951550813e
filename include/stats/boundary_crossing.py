"""The numerical heart of group-sequential tests: exact boundary-crossing probabilities.

At information I the score S = Z sqrt(I) is Brownian motion with drift, N(drift I, I). The sub-density of S
among the paths that have not yet crossed is carried from look to look by numerical integration (Armitage,
McPherson & Rowe 1969, JRSS A 132:235; Jennison & Turnbull 2000, Group Sequential Methods, chapter 19), here
with composite Gauss-Legendre quadrature. Its panels are as narrow as the narrowest normal density under the
integral asks for, so that unequal and close looks stay exact: the error is about 1e-10 a look.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from include.stats.spending import Floats, increasing_fractions, increasing_information

_NODES = 16
"""Gauss-Legendre nodes a panel."""
_PANEL = 6.0
"""Panel width in standard deviations of the product of the two densities that meet in the integral; sixteen
nodes over six standard deviations leave an error below 1e-10."""
_OPEN_TAIL = 8.5
"""Where no bound cuts the density: standard deviations kept on either side of its mean (lost: 1e-17)."""
NO_BOUND = 40.0
"""A z that is never reached: the normal density is 0 there in double precision. It stands where nothing may
be spent; the density is then kept all the way, so that the smallest errors of later looks stay exact."""
_CLOSEST = 1e-4
"""Looks that add less than this share of the information would need more nodes than memory holds."""
_NEVER = 1e-200
"""Error too small to be represented once it is split over the paths (z near 30): nothing is spent."""
_NEWTON_PRECISION = 1e-12
"""The descent to a bound ends with a step smaller than this."""


@dataclass(frozen=True)
class SubDensity:
    """Where the paths are that have not stopped: quadrature nodes of the score, and the mass at each."""

    information: float
    scores: Floats
    masses: Floats

    def above(self, information: float, z: float, drift: float) -> float:
        """Return the probability of going on so far and then finding Z above `z` at `information`."""
        return float(self.masses @ ndtr(self._headroom(information, z, drift)))

    def below(self, information: float, z: float, drift: float) -> float:
        """Return the probability of going on so far and then finding Z below `z` at `information`."""
        return float(self.masses @ ndtr(-self._headroom(information, z, drift)))

    def bound_above(self, information: float, probability: float, drift: float) -> float:
        """Return the z that is exceeded with the given probability; `NO_BOUND` for one below 1e-200.

        The crossing probability is log-concave in z, so Newton's method on its logarithm descends to the root
        from anywhere above it. Two bounds lie above: it is never more likely than Z alone, nor than if all
        paths stood where the highest does.

        Raises:
            ValueError: fewer paths are left than the probability asks for.
        """
        if probability < _NEVER:
            return NO_BOUND
        if probability >= (left := float(self.masses.sum())):
            raise ValueError(
                f"only {left:.3g} of the paths reach this look, fewer than the "
                f"{probability:.3g} to be spent at it"
            )
        step, scale = information - self.information, sqrt(information)
        alone = drift * scale - float(ndtri(probability))
        highest = (
            float(self.scores.max()) + drift * step - sqrt(step) * float(ndtri(probability / left))
        ) / scale
        z = min(alone, highest)
        while True:
            tail = self.above(information, z, drift)
            change = tail / self._density(information, z, drift) * log(tail / probability)
            z += change
            if change > -_NEWTON_PRECISION:
                return z

    def bound_below(self, information: float, probability: float, drift: float) -> float:
        """Return the z that is fallen short of with the given probability; minus `NO_BOUND` for 0."""
        mirrored = SubDensity(self.information, -self.scores, self.masses)
        return -mirrored.bound_above(information, probability, -drift)

    def advance(
        self, information: float, bounds: tuple[float, float], drift: float, ahead: float
    ) -> "SubDensity":
        """Return the sub-density at the next look, among the paths between its two bounds.

        Args:
            information: information at that look.
            bounds: lower and upper bound of Z there; either may be infinite.
            drift: mean of Z at information 1.
            ahead: information to be added between that look and the one after it.
        """
        step = information - self.information
        spread = 1.0 / sqrt(1.0 / step + 1.0 / ahead)
        low, high = _reach(bounds, information, drift)
        scores, weights = _quadrature(low, high, _PANEL * spread)
        moved = (scores[:, None] - self.scores[None, :] - drift * step) / sqrt(step)
        density = np.exp(-0.5 * moved**2) @ self.masses / sqrt(2.0 * pi * step)
        return SubDensity(information, scores, weights * density)

    def _density(self, information: float, z: float, drift: float) -> float:
        """Return the sub-density of Z at `z`: how fast `above` falls there."""
        headroom = self._headroom(information, z, drift)
        scale = sqrt(information / ((information - self.information) * 2.0 * pi))
        return scale * float(self.masses @ np.exp(-0.5 * headroom**2))

    def _headroom(self, information: float, z: float, drift: float) -> Floats:
        """Standard deviations by which each node's expected next score exceeds the score of `z`."""
        step = information - self.information
        headroom: Floats = (self.scores + drift * step - z * sqrt(information)) / sqrt(step)
        return headroom


START = SubDensity(0.0, np.zeros(1), np.ones(1))
"""Before the first look: all mass at score 0, no information."""


def exit_probabilities(
    fractions: ArrayLike, upper: ArrayLike, lower: ArrayLike | None = None, drift: float = 0.0
) -> tuple[Floats, Floats]:
    """Return the probability of stopping at each look for having crossed the upper, and the lower bound.

    Args:
        fractions: information fraction of each look, shape (looks,), strictly increasing in (0, 1].
        upper: upper bounds of Z, shape (looks,) or one number for all; infinity where there is none.
        lower: lower bounds of Z likewise; None for none.
        drift: mean of Z at fraction 1.

    Returns:
        Two arrays of shape (looks,): first crossing of the upper and of the lower bound at that very look.

    Raises:
        ValueError: fractions that do not increase in (0, 1], bounds of another length, not a number, or with
            the lower above the upper.
    """
    return crossing_probabilities(increasing_fractions(fractions), upper, lower, drift)


def crossing_probabilities(
    information: ArrayLike, upper: ArrayLike, lower: ArrayLike | None = None, drift: float = 0.0
) -> tuple[Floats, Floats]:
    """Like `exit_probabilities`, at any positive information; `drift` is the mean of Z at information 1."""
    levels = increasing_information(information)
    uppers, lowers = _bounds(levels, upper, lower)
    above, below = np.zeros_like(levels), np.zeros_like(levels)
    density = START
    for look, level, ahead in each_look(levels):
        above[look] = density.above(level, uppers[look], drift)
        below[look] = density.below(level, lowers[look], drift)
        if ahead > 0.0:
            density = density.advance(level, (lowers[look], uppers[look]), drift, ahead)
    return above, below


def each_look(information: Floats) -> Iterator[tuple[int, float, float]]:
    """Yield (index, information, information to be added before the next look; 0 at the last).

    Raises:
        ValueError: two looks so close that they cannot be told apart numerically.
    """
    ahead = np.diff(information, append=information[-1])
    near = np.flatnonzero(ahead[:-1] < _CLOSEST * information[1:])
    if near.size:
        raise ValueError(
            f"looks {near[0] + 1} and {near[0] + 2} are less than {_CLOSEST:g} of the information apart "
            f"({information[near[0]]:g} and {information[near[0] + 1]:g}): take them for one look"
        )
    for look, level in enumerate(information):
        yield look, float(level), float(ahead[look])


def _bounds(information: Floats, upper: ArrayLike, lower: ArrayLike | None) -> tuple[Floats, Floats]:
    """Return both bounds with one number a look."""
    uppers, lowers = (
        np.asarray(bound, dtype=np.float64) for bound in (upper, -np.inf if lower is None else lower)
    )
    for name, bound in (("upper", uppers), ("lower", lowers)):
        if bound.shape not in ((), information.shape):
            raise ValueError(f"{name}: {bound.size} bounds for {information.size} looks")
    uppers, lowers = np.broadcast_to(uppers, information.shape), np.broadcast_to(lowers, information.shape)
    if not np.all(lowers <= uppers):
        raise ValueError(f"a lower bound lies above its upper bound, or is no number: {lowers} {uppers}")
    return uppers, lowers


def _reach(bounds: tuple[float, float], information: float, drift: float) -> tuple[float, float]:
    """Return the range of scores to integrate over: between the bounds, where there is any density."""
    scale = sqrt(information)
    centre = drift * scale
    low, high = bounds
    low = centre - _OPEN_TAIL if np.isneginf(low) else max(low, centre - NO_BOUND)
    high = centre + _OPEN_TAIL if np.isposinf(high) else min(high, centre + NO_BOUND)
    return low * scale, max(low, high) * scale


def _quadrature(low: float, high: float, panel: float) -> tuple[Floats, Floats]:
    """Return nodes and weights of composite Gauss-Legendre quadrature with panels no wider than `panel`."""
    count = max(1, ceil((high - low) / panel))
    half = (high - low) / (2.0 * count)
    centres = low + half * (2.0 * np.arange(count) + 1.0)
    points, weights = _legendre()
    return (centres[:, None] + half * points).ravel(), np.tile(half * weights, count)


@lru_cache(maxsize=1)
def _legendre() -> tuple[Floats, Floats]:
    """Nodes and weights on [-1, 1]."""
    points, weights = np.polynomial.legendre.leggauss(_NODES)
    return points, weights
