"""The plan of a ramp as a release copies it: can it show what it promises, and by how many requests."""

from include.contracts.errors import ContractError
from include.contracts.model import ModelContract
from include.contracts.ramps import LabelBound, RampStage, RolloutPlan
from include.contracts.signatures import Task
from include.contracts.watched import metric_named
from include.stats.ramp_requests import needed_requests


def check_plan(contract: ModelContract) -> None:
    """Refuse a plan that cannot show what it promises.

    Raises:
        ContractError: a stage is judged by fewer requests than its guardrails take.
    """
    plan = contract.rollout
    for place, stage in enumerate(plan.stages[:-1]):
        needed = needed_at(plan, place)
        if 0 < stage.minimum_requests < needed:
            raise ContractError(
                f"{contract.name}: rollout.stages.{place}.minimum_requests: {stage.minimum_requests:,} are "
                f"fewer than the {needed:,} its guardrails take at share {stage.share:g}; leave it out, and "
                "they are derived, or widen a margin"
            )


def resolved_plan(plan: RolloutPlan, task: Task) -> RolloutPlan:
    """Return a plan whose stages all name their fewest requests, and whose labels' metrics go by one name.

    A stage that is judged and names none gets what its guardrails take; at full traffic that is what the last
    stage beside a champion took.
    """
    stages = tuple(_resolved(plan, place, stage) for place, stage in enumerate(plan.stages))
    shadow = plan.shadow
    if shadow is not None and not shadow.minimum_requests:
        shadow = shadow.model_copy(update={"minimum_requests": needed_at(plan, 0)})
    labels = tuple(_named(bound, task) for bound in plan.labels)
    return plan.model_copy(update={"stages": stages, "shadow": shadow, "labels": labels})


def needed_at(plan: RolloutPlan, place: int) -> int:
    """Return the requests of the new version that a place's guardrails take.

    Without a stage beside a champion there is no control whose size could be planned with: 0.
    """
    shares = [stage.share for stage in plan.stages[:-1]]
    if not shares:
        return 0
    return needed_requests(plan.guardrails, shares[min(place, len(shares) - 1)], plan.alpha_per_place)


def _named(bound: LabelBound, task: Task) -> LabelBound:
    metric = metric_named(bound.metric, task)
    return bound if metric is None else bound.model_copy(update={"metric": metric.value})


def _resolved(plan: RolloutPlan, place: int, stage: RampStage) -> RampStage:
    is_judged = bool(stage.hold) or (place == plan.full_place and bool(plan.bake))
    if stage.minimum_requests or not is_judged:
        return stage
    return stage.model_copy(update={"minimum_requests": needed_at(plan, place)})
