"""Starting an experiment: what it compares is settled, the plan hashed, the lease taken, traffic split."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteState, RouteUpdate
from include.adapters.packages import load_manifest, version_route
from include.config.experiments import ExperimentFile
from include.config.settings import Settings
from include.contracts.errors import ExperimentError
from include.contracts.experiments import (
    CANDIDATE,
    CHAMPION,
    Experiment,
    ExperimentAnswer,
    ExperimentPlan,
    ExperimentState,
    PlannedSize,
)
from include.contracts.packages import Version
from include.contracts.releases import Decision
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
    route = _free_route(ledger, contract.name)
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


def start(
    settings: Settings,
    ledger: Ledger,
    file: ExperimentFile,
    proposal: Proposal,
    as_of: datetime,
    *,
    actor: str,
    approvers: tuple[str, ...],
    quorum: int = 1,
) -> Experiment:
    """Start an experiment that was approved; the treatment must be loaded. Run again, it changes nothing.

    Args:
        settings: say where packages and Triton are.
        ledger: where it is written, answers included.
        file: the plan.
        proposal: what was approved.
        as_of: event time from which exposures count.
        actor: user name, or `system`.
        approvers: whose yes counts.
        quorum: how many must say yes.

    Raises:
        ExperimentError: not enough of them said yes to this plan and this artefact, or the model's route has
            changed.
        LeaseError: a release or another experiment is open.
        ConflictError: the salt was used, or the route was changed meanwhile.
    """
    plan, model = proposal.plan, file.folder.contract.name
    running = ledger.experiment(plan.salt)
    if running is not None and not running.state.is_terminal and running.plan_sha256 == plan.sha256:
        return running
    yeses = _yeses(ledger, model, proposal, approvers)
    if len(yeses) < quorum:
        raise ExperimentError(
            f"{plan.salt}: {len(yeses)} of the {quorum} approvals it needs are in the ledger; without them a "
            "version gets no traffic"
        )
    state = ledger.route_state(model)
    route = split_route(settings, _free(state, model), proposal.treatment, plan.shares[0], plan.salt)
    new = Experiment(
        experiment_id=plan.salt,
        name=plan.name,
        model=model,
        plan=plan,
        plan_sha256=plan.sha256,
        size=proposal.size,
        control_version=proposal.control_version,
        treatment_version=proposal.treatment.version,
        treatment_sha256=proposal.treatment.artefact_sha256,
        share=plan.shares[0],
        state=ExperimentState.RUNNING,
        began_at=as_of,
        started_by=actor,
        approved_by=yeses,
        revision=1,
        started_at=as_of,
    )
    if route.champion.version != proposal.control_version:
        raise ExperimentError(f"{model}: {route.champion.version} serves now, not {proposal.control_version}")
    return ledger.start_experiment(new, RouteUpdate(route, state.revision))


def split_route(
    settings: Settings, route: ModelRoute, treatment: Version, share: float, salt: str
) -> ModelRoute:
    """Return a route with a version as challenger; views of it alone bring their TTL."""
    manifest = load_manifest(ArtefactStore(settings.artefacts_folder), treatment)
    ttl: Mapping[str, float] = manifest.snapshot.feature_ttl_seconds
    return ModelRoute.model_validate(
        {
            **route.model_dump(),
            "feature_ttl_seconds": {**ttl, **route.feature_ttl_seconds},
            "challenger": version_route(manifest, treatment, settings.serving_endpoints).model_dump(),
            "share": share,
            "change_id": salt,
        }
    )


def _check_unused(ledger: Ledger, plan: ExperimentPlan) -> None:
    known = ledger.experiment(plan.salt)
    if known is not None:
        raise ExperimentError(
            f"{plan.name}: salt: {plan.salt!r} was used by an experiment that {known.started_by} started at "
            f"{known.started_at:%Y-%m-%d %H:%M} UTC and that is {known.state.value}; write another one"
        )


def _free_route(ledger: Ledger, model: str) -> ModelRoute:
    return _free(ledger.route_state(model), model)


def _free(state: RouteState, model: str) -> ModelRoute:
    if state.route is None:
        raise ExperimentError(f"{model} serves nothing; there is nothing to compare with")
    if state.route.challenger is not None:
        raise ExperimentError(
            f"{model}: its traffic is split already, by {state.route.change_id}; wait for its end"
        )
    return state.route


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


def _yeses(ledger: Ledger, model: str, proposal: Proposal, approvers: tuple[str, ...]) -> tuple[str, ...]:
    """Return who said yes to this plan and artefact; none where somebody said no."""
    asked = proposal.plan.sha256, proposal.treatment.artefact_sha256
    given: list[ExperimentAnswer] = [
        answer
        for answer in ledger.experiment_answers(model, proposal.plan.salt)
        if (answer.plan_sha256, answer.treatment_sha256) == asked
    ]
    if any(answer.decision is not Decision.APPROVED for answer in given):
        return ()
    return tuple(
        answer.decided_by for answer in given if answer.decided_by in approvers and answer.decided_by
    )
