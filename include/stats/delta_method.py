"""Ratio metrics over requests whose unit of randomisation is something bigger: the delta method.

Errors a request, revenue an order, seconds a call: both numerator and denominator are random, and requests of
one unit resemble each other. A test over requests takes them for independent and lies; here the unit is the
cluster (Deng, Knoblich & Lu 2018, KDD, arXiv 1803.06336).
"""

from math import sqrt

from include.stats.intervals import Estimate, difference, relative_difference
from include.stats.sufficient_statistics import JointMoments


def ratio(sample: JointMoments) -> Estimate:
    """Return sum of x / sum of y with the standard error clustered on the unit.

    Args:
        sample: per unit, the numerator (x) and the denominator (y).

    Raises:
        ValueError: fewer than two units, or a denominator whose mean is not positive.
    """
    if not sample.mean_y > 0.0:
        raise ValueError(f"the denominator of a ratio has a positive mean, not {sample.mean_y:g}")
    value = sample.mean_x / sample.mean_y
    residual = sample.variance_x - 2.0 * value * sample.covariance + value**2 * sample.variance_y
    return Estimate(value, sqrt(max(residual, 0.0) / sample.units) / sample.mean_y)


def difference_of_ratios(control: JointMoments, treatment: JointMoments) -> Estimate:
    """Return the ratio of treatment less that of control.

    Raises:
        ValueError: as `ratio` does.
    """
    return difference(ratio(control), ratio(treatment))


def relative_difference_of_ratios(control: JointMoments, treatment: JointMoments) -> Estimate:
    """Return treatment's ratio over control's, less 1.

    Raises:
        ValueError: as `ratio` does, or control's ratio cannot be told from 0.
    """
    return relative_difference(ratio(control), ratio(treatment))
