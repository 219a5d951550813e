"""Means of one number a unit: Welch's difference of two arms."""

from math import sqrt

from include.stats.intervals import Estimate
from include.stats.sufficient_statistics import Moments


def mean(sample: Moments) -> Estimate:
    """Return the mean with its standard error.

    Raises:
        ValueError: fewer than two units.
    """
    return Estimate(sample.mean, sqrt(sample.variance / sample.units), sample.units - 1.0)


def difference_of_means(control: Moments, treatment: Moments) -> Estimate:
    """Return treatment less control, with Welch's degrees of freedom (1947, Biometrika 34:28).

    The variances of the arms may differ.

    Raises:
        ValueError: fewer than two units in an arm.
    """
    parts = control.variance / control.units, treatment.variance / treatment.units
    variance = sum(parts)
    spread = parts[0] ** 2 / (control.units - 1) + parts[1] ** 2 / (treatment.units - 1)
    freedom = variance**2 / spread if spread > 0.0 else control.units + treatment.units - 2.0
    return Estimate(treatment.mean - control.mean, sqrt(variance), freedom)
