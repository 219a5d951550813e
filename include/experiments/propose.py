"""What starting an experiment would mean: which versions, how many units, how long; nothing is changed."""

from dataclasses import dataclass
from datetime import datetime

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteState
from include.config.experiments import ExperimentFile
from include.config.settings import Settings
from include.contracts.errors import ExperimentError
from include.contracts.experiments import CANDIDATE, CHAMPION, ExperimentPlan, PlannedSize
from include.contracts.packages import Version
from include.contracts.routes import ModelRoute
from include.contracts.versions import SemanticVersion
from include.experiments.size import check_reachable, metric_of, planned_size


@dataclass(frozen=True)
class Proposal:
    """An experiment that could start: what would be asked, of whom, and what it costs."""

    plan: ExperimentPlan
    control_version: str
    treatment: Version
    size: PlannedSize
    problem: str | None
    """Why it cannot reach its power in time; None: it can."""


def propose(
    settings: Settings, ledger: Ledger, file: ExperimentFile, as_of: datetime, *, underpowered: bool = False
) -> Proposal:
    """Return what starting an experiment would mean; nothing is changed.

    Args:
        settings: say where the log lies.
        ledger: knows versions and the route.
        file: the plan.
        as_of: event time of the start.
        underpowered: start it even where it cannot reach its power in the time it states.

    Raises:
        ContractError: the file is wrong.
        ExperimentError: the versions do not fit what serves, the salt was used, or the plan cannot reach its
            power.
    """
    plan, contract = file.plan, file.folder.contract
    _check_unused(ledger, plan)
    route = free_route(ledger.route_state(contract.name), contract.name)
    treatment = _treatment(ledger, plan, route)
    size = planned_size(settings, contract, plan, as_of)
    problem = None
    try:
        check_reachable(plan, size, metric_of(contract, plan.primary.metric))
    except ExperimentError as error:
        if not underpowered:
            raise
        problem = str(error)
    return Proposal(plan, route.champion.version, treatment, size, problem)


def free_route(state: RouteState, model: str) -> ModelRoute:
    """Return a route whose traffic nobody splits.

    Raises:
        ExperimentError: the model serves nothing, or its traffic is split.
    """
    if state.route is None:
        raise ExperimentError(f"{model} serves nothing; there is nothing to compare with")
    if state.route.challenger is not None:
        raise ExperimentError(
            f"{model}: its traffic is split already, by {state.route.change_id}; wait for its end"
        )
    return state.route


def _check_unused(ledger: Ledger, plan: ExperimentPlan) -> None:
    known = ledger.experiment(plan.salt)
    if known is not None:
        raise ExperimentError(
            f"{plan.name}: salt: {plan.salt!r} was used by an experiment that {known.started_by} started at "
            f"{known.started_at:%Y-%m-%d %H:%M} UTC and that is {known.state.value}; write another one"
        )


def _treatment(ledger: Ledger, plan: ExperimentPlan, route: ModelRoute) -> Version:
    champion = route.champion.version
    if plan.control.version not in {CHAMPION, champion}:
        raise ExperimentError(
            f"{plan.name}: variants.0.version: {champion} serves, not {plan.control.version}"
        )
    others = {item.version: item for item in ledger.versions(route.model) if item.version != champion}
    newest = max(others, key=SemanticVersion.parse, default=None)
    name = newest if plan.treatment.version == CANDIDATE else plan.treatment.version
    if name is None or name not in others:
        raise ExperimentError(
            f"{plan.name}: variants.1.version: {route.model} has no version {plan.treatment.version} beside "
            f"its champion; registered: {', '.join(others) or 'none'}"
        )
    if route.shadow is not None and route.shadow.version == name:
        raise ExperimentError(
            f"{route.model} {name} shadows; end that first: make shadow VERSION={name} SHARE=0"
        )
    return others[name]
