"""Sufficient statistics that add up: whatever is computed by stage, day or shard merges without the rows.

Sums of squares are kept about the mean and merged by the pairwise update of Chan, Golub & LeVeque (1983, The
American Statistician 37:242), so that a large mean with a small spread loses no digits.
"""

from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Proportion:
    """Units that succeeded, of all."""

    successes: int
    trials: int

    def __post_init__(self) -> None:
        """Refuse counts that cannot be."""
        if not 0 <= self.successes <= self.trials:
            raise ValueError(f"{self.successes} successes of {self.trials} trials cannot be")

    def __add__(self, other: "Proportion") -> "Proportion":
        """Return the counts of both together."""
        return Proportion(self.successes + other.successes, self.trials + other.trials)

    @property
    def share(self) -> float:
        """Successes a trial.

        Raises:
            ValueError: there are no trials.
        """
        if self.trials == 0:
            raise ValueError("a proportion of no trials is not defined")
        return self.successes / self.trials


@dataclass(frozen=True)
class JointMoments:
    """Two numbers a unit: how many units, both means, and the sums of squares and products about them.

    `x` is the metric or a ratio's numerator, `y` the covariate or the ratio's denominator. `JointMoments()`
    is the empty sample, the neutral element of addition.
    """

    units: int = 0
    mean_x: float = 0.0
    mean_y: float = 0.0
    squares_x: float = 0.0
    squares_y: float = 0.0
    products: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that no sample has."""
        numbers = (self.mean_x, self.mean_y, self.squares_x, self.squares_y, self.products)
        if self.units < 0 or not all(isfinite(number) for number in numbers):
            raise ValueError(f"moments of {self.units} units must be finite: {numbers}")
        if self.squares_x < 0.0 or self.squares_y < 0.0:
            raise ValueError(f"sums of squares are not negative: {self.squares_x}, {self.squares_y}")

    @classmethod
    def of(cls, x: ArrayLike, y: ArrayLike) -> "JointMoments":
        """Return the moments of two arrays with one number a unit.

        Raises:
            ValueError: they differ in length, or hold something that is not finite.
        """
        first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if first.ndim != 1 or first.shape != second.shape:
            raise ValueError(
                f"one number a unit in both arrays, please; got shapes {first.shape} and {second.shape}"
            )
        if first.size == 0:
            return cls()
        mean_x, mean_y = float(first.mean()), float(second.mean())
        off_x, off_y = first - mean_x, second - mean_y
        return cls(
            first.size, mean_x, mean_y, float(off_x @ off_x), float(off_y @ off_y), float(off_x @ off_y)
        )

    def __add__(self, other: "JointMoments") -> "JointMoments":
        """Return the moments of both samples together."""
        units = self.units + other.units
        if units == 0:
            return JointMoments()
        share = other.units / units
        gap_x, gap_y = other.mean_x - self.mean_x, other.mean_y - self.mean_y
        between = self.units * share
        return JointMoments(
            units,
            self.mean_x + share * gap_x,
            self.mean_y + share * gap_y,
            self.squares_x + other.squares_x + between * gap_x**2,
            self.squares_y + other.squares_y + between * gap_y**2,
            self.products + other.products + between * gap_x * gap_y,
        )

    @property
    def variance_x(self) -> float:
        """Sample variance of x."""
        return self.squares_x / self._freedom()

    @property
    def variance_y(self) -> float:
        """Sample variance of y."""
        return self.squares_y / self._freedom()

    @property
    def covariance(self) -> float:
        """Sample covariance of x and y."""
        return self.products / self._freedom()

    def _freedom(self) -> int:
        if self.units < 2:  # noqa: PLR2004 - a variance needs two
            raise ValueError(f"a variance needs at least two units; there are {self.units}")
        return self.units - 1


@dataclass(frozen=True)
class Moments:
    """One number a unit: how many units, their mean, and the sum of squares about it."""

    units: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that no sample has."""
        if self.units < 0 or self.squares < 0.0 or not (isfinite(self.mean) and isfinite(self.squares)):
            raise ValueError(f"no sample has {self.units} units, mean {self.mean} and squares {self.squares}")

    @classmethod
    def of(cls, values: ArrayLike) -> "Moments":
        """Return the moments of an array with one number a unit.

        Raises:
            ValueError: it is not one-dimensional, or holds something that is not finite.
        """
        joint = JointMoments.of(values, values)
        return cls(joint.units, joint.mean_x, joint.squares_x)

    def __add__(self, other: "Moments") -> "Moments":
        """Return the moments of both samples together."""
        units = self.units + other.units
        if units == 0:
            return Moments()
        share = other.units / units
        gap = other.mean - self.mean
        return Moments(
            units, self.mean + share * gap, self.squares + other.squares + self.units * share * gap**2
        )

    @property
    def variance(self) -> float:
        """Sample variance.

        Raises:
            ValueError: fewer than two units.
        """
        if self.units < 2:  # noqa: PLR2004 - a variance needs two
            raise ValueError(f"a variance needs at least two units; there are {self.units}")
        return self.squares / (self.units - 1)

    @property
    def standard_deviation(self) -> float:
        """Square root of the sample variance."""
        return sqrt(self.variance)
