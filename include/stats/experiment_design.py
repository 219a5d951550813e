"""The group-sequential design that an experiment's plan asks for, of each comparison with control."""

from include.contracts.experiment_plan import ExperimentPlan
from include.stats.group_sequential_design import GroupSequentialDesign, plan_design


def design_of(
    plan: ExperimentPlan, *, alpha: float | None = None, futility: bool = True
) -> GroupSequentialDesign:
    """Return the design of one comparison.

    Args:
        plan: says looks, power and spending.
        alpha: of the comparison; without it what it is planned with, an equal part of the plan's.
        futility: whether the plan's futility bounds, if it has some, enter.
    """
    primary = plan.primary
    return plan_design(
        primary.looks,
        plan.alpha_each if alpha is None else alpha,
        primary.sides,
        primary.power,
        spending=primary.spending,
        parameter=primary.parameter,
        futility=primary.futility if futility else None,
    )
