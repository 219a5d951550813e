"""Estimates with a standard error, differences between them, and their intervals and tests."""

from dataclasses import dataclass
from math import hypot, inf, isfinite, sqrt

from scipy.special import ndtr, ndtri, stdtr, stdtrit

from include.stats.spending import probability

MINIMUM_RATIO_Z = 4.0
"""A baseline closer to 0 than this many standard errors has no useful relative difference: the normal
approximation to a quotient breaks down."""


@dataclass(frozen=True)
class Interval:
    """A point estimate between its confidence limits."""

    low: float
    value: float
    high: float

    def __post_init__(self) -> None:
        """Refuse limits the value does not lie between."""
        if not self.low <= self.value <= self.high:
            raise ValueError(f"{self.value} does not lie between its limits {self.low} and {self.high}")


@dataclass(frozen=True)
class Estimate:
    """An estimate, its standard error, and the degrees of freedom of that error (infinite: normal)."""

    value: float
    standard_error: float
    freedom: float = inf

    def __post_init__(self) -> None:
        """Refuse what no estimate has."""
        if not (isfinite(self.value) and isfinite(self.standard_error) and self.standard_error >= 0.0):
            raise ValueError(f"an estimate needs finite figures, not {self.value} +- {self.standard_error}")
        if not self.freedom > 0.0:
            raise ValueError(f"degrees of freedom are positive, not {self.freedom}")

    @property
    def z(self) -> float:
        """The estimate in standard errors.

        Raises:
            ValueError: the standard error is 0: every unit answered alike, so there is nothing to judge by.
        """
        return self.value * sqrt(self.information)

    @property
    def information(self) -> float:
        """One over the squared standard error.

        Raises:
            ValueError: the standard error is 0.
        """
        if self.standard_error == 0.0:
            raise ValueError("every unit gave the same value: a standard error of 0 carries no information")
        return 1.0 / self.standard_error**2

    def p_value(self) -> float:
        """Return the two-sided p-value against an effect of 0."""
        return 2.0 * self.lower_tail(-abs(self.z))

    def lower_tail(self, z: float) -> float:
        """Return the probability of a statistic below `z`, normal or Student's t."""
        return float(ndtr(z) if self.freedom == inf else stdtr(self.freedom, z))

    def interval(self, confidence: float = 0.95) -> Interval:
        """Return the two-sided confidence interval."""
        tail = (1.0 + probability(confidence, "confidence")) / 2.0
        quantile = float(ndtri(tail) if self.freedom == inf else stdtrit(self.freedom, tail))
        half = quantile * self.standard_error
        return Interval(self.value - half, self.value, self.value + half)


def difference(control: Estimate, treatment: Estimate) -> Estimate:
    """Return treatment less control, for estimates from different units."""
    return Estimate(treatment.value - control.value, hypot(control.standard_error, treatment.standard_error))


def relative_difference(control: Estimate, treatment: Estimate) -> Estimate:
    """Return treatment / control - 1, by the delta method, for estimates from different units.

    Raises:
        ValueError: control lies within `MINIMUM_RATIO_Z` standard errors of 0.
    """
    if abs(control.value) <= MINIMUM_RATIO_Z * control.standard_error:
        raise ValueError(
            f"a relative difference to {control.value:g} +- {control.standard_error:g} is not meaningful: "
            "the baseline cannot be told from 0; compare the absolute difference"
        )
    quotient = treatment.value / control.value
    error = hypot(treatment.standard_error, quotient * control.standard_error) / abs(control.value)
    return Estimate(quotient - 1.0, error)


def difference_of_intervals(control: Interval, treatment: Interval) -> Interval:
    """Return the interval of treatment less control from an interval of each, of the same confidence.

    Each side recovers its variance from the limits nearest to it, so lopsided intervals stay lopsided (MOVER:
    Zou & Donner 2008, Statistics in Medicine 27:1693; with Wilson limits it is Newcombe's method 10).
    """
    gap = treatment.value - control.value
    return Interval(
        gap - hypot(treatment.value - treatment.low, control.high - control.value),
        gap,
        gap + hypot(treatment.high - treatment.value, control.value - control.low),
    )
