"""One effect out of several stages of a ramp, without Simpson's paradox.

When a ramp's share changes, each stage compares its own arms under its own split; adding the arms up over
stages first would compare different days with each other. Weights are the effective sizes of the stages
(Cochran-Mantel-Haenszel), which do not depend on the outcome: inverse estimated variances would favour stages
whose proportion happened to fall low.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, sqrt

from include.stats.delta_method import difference_of_ratios
from include.stats.intervals import Estimate
from include.stats.means import difference_of_means
from include.stats.proportions import difference_of_proportions
from include.stats.sample_size import effective_size
from include.stats.sufficient_statistics import JointMoments, Moments, Proportion


@dataclass(frozen=True)
class Stage:
    """The difference seen within one stage, and the effective size it rests on."""

    effect: Estimate
    weight: float

    @classmethod
    def of_means(cls, control: Moments, treatment: Moments) -> "Stage":
        """Return the stage of a mean; ValueError where an arm has fewer than two units."""
        return cls(difference_of_means(control, treatment), effective_size(control.units, treatment.units))

    @classmethod
    def of_proportions(cls, control: Proportion, treatment: Proportion) -> "Stage":
        """Return the stage of a proportion; ValueError where an arm has no trials."""
        return cls(
            difference_of_proportions(control, treatment), effective_size(control.trials, treatment.trials)
        )

    @classmethod
    def of_ratios(cls, control: JointMoments, treatment: JointMoments) -> "Stage":
        """Return the stage of a ratio; ValueError where `difference_of_ratios` raises it."""
        return cls(difference_of_ratios(control, treatment), effective_size(control.units, treatment.units))


def pooled_effect(stages: Sequence[Stage]) -> Estimate:
    """Return the common effect of the stages, each weighted by its effective size.

    Units belong to the stage of their first exposure, so that stages are independent.

    Raises:
        ValueError: no stages, or a weight that is not positive.
    """
    if not stages or not all(stage.weight > 0.0 for stage in stages):
        raise ValueError(
            f"pooling needs stages with positive weights; got {[stage.weight for stage in stages]}"
        )
    total = fsum(stage.weight for stage in stages)
    value = fsum(stage.weight * stage.effect.value for stage in stages) / total
    variance = fsum((stage.weight * stage.effect.standard_error) ** 2 for stage in stages)
    return Estimate(value, sqrt(variance) / total)
