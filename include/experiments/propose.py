"""What starting an experiment would mean: which versions, how many units, how long; nothing is changed."""

from dataclasses import dataclass
from datetime import datetime

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteState
from include.config.experiments import ExperimentFile
from include.config.settings import Settings
from include.contracts.errors import ExperimentError
from include.contracts.experiment_plan import CANDIDATE, CHAMPION, ExperimentPlan
from include.contracts.experiments import PlannedSize, TreatmentVersion
from include.contracts.packages import Version
from include.contracts.routes import ModelRoute
from include.contracts.versions import SemanticVersion
from include.experiments.size import check_reachable, metric_of, planned_size


@dataclass(frozen=True)
class Proposal:
    """An experiment that could start: what would be asked, of whom, and what it costs."""

    plan: ExperimentPlan
    control_version: str
    treatments: tuple[Version, ...]
    """In the order of the plan."""
    size: PlannedSize
    problem: str | None
    """Why it cannot reach its power in time; None: it can."""

    @property
    def tried(self) -> tuple[TreatmentVersion, ...]:
        """What would be tried: what an answer is bound to."""
        return tuple(
            TreatmentVersion(version=each.version, sha256=each.artefact_sha256) for each in self.treatments
        )


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
    treatments = _treatments(ledger, plan, route)
    size = planned_size(settings, contract, plan, as_of)
    problem = None
    try:
        check_reachable(plan, size, metric_of(contract, plan.primary.metric))
    except ExperimentError as error:
        if not underpowered:
            raise
        problem = str(error)
    return Proposal(plan, route.champion.version, treatments, size, problem)


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


def _treatments(ledger: Ledger, plan: ExperimentPlan, route: ModelRoute) -> tuple[Version, ...]:
    champion = route.champion.version
    if plan.control.version not in {CHAMPION, champion}:
        raise ExperimentError(
            f"{plan.name}: variants.0.version: {champion} serves, not {plan.control.version}"
        )
    others = {item.version: item for item in ledger.versions(route.model) if item.version != champion}
    newest = max(others, key=SemanticVersion.parse, default=None)
    names = [newest if each.version == CANDIDATE else each.version for each in plan.treatments]
    for place, (treatment, name) in enumerate(zip(plan.treatments, names, strict=True), start=1):
        if name is None or name not in others:
            raise ExperimentError(
                f"{plan.name}: variants.{place}.version: {route.model} has no version {treatment.version} "
                f"beside its champion; registered: {', '.join(others) or 'none'}"
            )
        if names.count(name) > 1:
            raise ExperimentError(f"{plan.name}: variants.{place}.version: {name} is tried twice")
        if route.shadow is not None and route.shadow.version == name:
            raise ExperimentError(
                f"{route.model} {name} shadows; end that first: make shadow VERSION={name} SHARE=0"
            )
    return tuple(others[str(name)] for name in names)
