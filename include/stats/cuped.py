"""CUPED: a covariate known before exposure takes out variance that the treatment cannot have caused.

Deng, Xu, Kohavi & Walker (2013), Improving the Sensitivity of Online Controlled Experiments, WSDM.
"""

from dataclasses import dataclass
from math import sqrt

from include.stats.intervals import Estimate
from include.stats.sufficient_statistics import JointMoments


@dataclass(frozen=True)
class CupedDifference:
    """Treatment less control, with and without the covariate."""

    adjusted: Estimate
    unadjusted: Estimate
    theta: float
    """Slope of the metric on the covariate, common to both arms."""

    @property
    def variance_reduction_ratio(self) -> float:
        """Share of the variance that the covariate took out; 0.5 halves the units needed."""
        if self.unadjusted.standard_error == 0.0:
            return 0.0
        return 1.0 - (self.adjusted.standard_error / self.unadjusted.standard_error) ** 2


def cuped_difference(control: JointMoments, treatment: JointMoments) -> CupedDifference:
    """Return the difference of means of x, adjusted for the covariate y.

    The slope is estimated within the arms, so an effect on x does not enter it. The covariate must be known
    before a unit's first exposure; one that the treatment can move biases the result.

    Args:
        control: metric (x) and covariate (y) per unit.
        treatment: likewise.

    Raises:
        ValueError: fewer than two units in an arm.
    """
    spread = control.squares_y + treatment.squares_y
    theta = (control.products + treatment.products) / spread if spread > 0.0 else 0.0
    return CupedDifference(
        _difference(control, treatment, theta), _difference(control, treatment, 0.0), theta
    )


def _difference(control: JointMoments, treatment: JointMoments, theta: float) -> Estimate:
    gap = treatment.mean_x - control.mean_x - theta * (treatment.mean_y - control.mean_y)
    variance = sum(
        (arm.variance_x - 2.0 * theta * arm.covariance + theta**2 * arm.variance_y) / arm.units
        for arm in (control, treatment)
    )
    return Estimate(gap, sqrt(max(variance, 0.0)))
