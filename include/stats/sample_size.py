"""How many units each arm needs for a difference to be found with the power promised, looks included."""

from dataclasses import dataclass
from math import ceil, isfinite, sqrt

from numpy.typing import ArrayLike

from include.stats.delta_method import ratio
from include.stats.group_sequential_design import plan_design
from include.stats.sufficient_statistics import JointMoments


@dataclass(frozen=True)
class ArmSizes:
    """Units per arm at the last look."""

    control: int
    treatment: int

    @property
    def total(self) -> int:
        """Units in both arms."""
        return self.control + self.treatment


def effective_size(control: int, treatment: int) -> float:
    """Return 1 / (1/control + 1/treatment), to which the information on a difference is proportional.

    An unequal split is worth less than its number of units: 10,000 units split 95:5 are worth 475, split
    50:50 they are worth 2,500.

    Raises:
        ValueError: an arm without units.
    """
    if control < 1 or treatment < 1:
        raise ValueError(f"both arms need units; got {control} and {treatment}")
    return 1.0 / (1.0 / control + 1.0 / treatment)


def sample_size_means(
    mde: float,
    standard_deviation: float,
    alpha: float = 0.05,
    power: float = 0.8,
    sides: int = 2,
    *,
    allocation: float = 1.0,
    fractions: ArrayLike = (1.0,),
    spending: str = "obrien_fleming",
    parameter: float | None = None,
) -> ArmSizes:
    """Return the units per arm to find a difference of means, at the last of the planned looks.

    Args:
        mde: smallest difference of means worth finding, in the metric's unit; its sign does not matter.
        standard_deviation: of the metric over units, the same in both arms.
        alpha: type I error over all looks.
        power: at the MDE.
        sides: 1 or 2.
        allocation: units of treatment per unit of control.
        fractions: planned information fractions, the last one 1; one look by default.
        spending: a name out of `SPENDINGS`.
        parameter: of the power and Hwang-Shih-DeCani families.

    Raises:
        ValueError: an MDE of 0, a standard deviation or allocation that is not positive, or what
            `plan_design` refuses.
    """
    _positive(standard_deviation, "the standard deviation")
    variance = standard_deviation**2
    drift = plan_design(fractions, alpha, sides, power, spending=spending, parameter=parameter).drift
    return _arms(mde, variance, variance, allocation, drift)


def sample_size_proportions(
    baseline: float,
    mde: float,
    alpha: float = 0.05,
    power: float = 0.8,
    sides: int = 2,
    *,
    allocation: float = 1.0,
    fractions: ArrayLike = (1.0,),
    spending: str = "obrien_fleming",
    parameter: float | None = None,
) -> ArmSizes:
    """Return the units per arm to find a difference of proportions, with unpooled variances.

    Args:
        baseline: proportion in control.
        mde: smallest absolute difference worth finding, signed: treatment is at `baseline + mde`.
        alpha: type I error over all looks.
        power: at the MDE.
        sides: 1 or 2.
        allocation: units of treatment per unit of control.
        fractions: planned information fractions, the last one 1; one look by default.
        spending: a name out of `SPENDINGS`.
        parameter: of the power and Hwang-Shih-DeCani families.

    Raises:
        ValueError: a baseline, or baseline + mde, outside (0, 1), or what `sample_size_means` refuses.
    """
    treated = baseline + mde
    for share, name in ((baseline, "baseline"), (treated, "baseline + mde")):
        if not 0.0 < share < 1.0:
            raise ValueError(f"{name} is a proportion strictly between 0 and 1, not {share:g}")
    drift = plan_design(fractions, alpha, sides, power, spending=spending, parameter=parameter).drift
    return _arms(mde, baseline * (1.0 - baseline), treated * (1.0 - treated), allocation, drift)


def sample_size_ratios(
    mde: float,
    history: JointMoments,
    alpha: float = 0.05,
    power: float = 0.8,
    sides: int = 2,
    *,
    allocation: float = 1.0,
    fractions: ArrayLike = (1.0,),
    spending: str = "obrien_fleming",
    parameter: float | None = None,
) -> ArmSizes:
    """Return the units per arm to find a difference of a ratio metric, clustered on the unit.

    Args:
        mde: smallest difference of the ratio worth finding.
        history: numerator (x) and denominator (y) per unit, from traffic like that of the experiment. How its
            units spread decides the size; the number of requests does not.
        alpha: type I error over all looks.
        power: at the MDE.
        sides: 1 or 2.
        allocation: units of treatment per unit of control.
        fractions: planned information fractions, the last one 1; one look by default.
        spending: a name out of `SPENDINGS`.
        parameter: of the power and Hwang-Shih-DeCani families.

    Raises:
        ValueError: history of fewer than two units or with a denominator of 0, or what `sample_size_means`
            refuses.
    """
    deviation = ratio(history).standard_error * sqrt(history.units)
    return sample_size_means(
        mde,
        deviation,
        alpha,
        power,
        sides,
        allocation=allocation,
        fractions=fractions,
        spending=spending,
        parameter=parameter,
    )


def _arms(mde: float, control: float, treatment: float, allocation: float, drift: float) -> ArmSizes:
    """Return the sizes at which mde / standard error is the drift; variances are per unit."""
    if mde == 0.0 or not isfinite(mde):
        raise ValueError(f"the smallest difference worth finding is finite and not 0, unlike {mde}")
    _positive(allocation, "the allocation")
    size = (drift / mde) ** 2 * (control + treatment / allocation)
    return ArmSizes(ceil(size), ceil(size * allocation))


def _positive(value: float, name: str) -> None:
    if not (value > 0.0 and isfinite(value)):
        raise ValueError(f"{name} is positive and finite, unlike {value}")
