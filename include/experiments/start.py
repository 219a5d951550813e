"""Starting an experiment: the plan hashed into the ledger, the lease taken, traffic split, in one step."""

from datetime import datetime

from include.adapters.artefact_home import artefact_store
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.packages import load_manifest, version_route
from include.config.experiments import ExperimentFile
from include.config.settings import Settings
from include.contracts.errors import ExperimentError
from include.contracts.experiments import Experiment, ExperimentState
from include.contracts.routes import ModelRoute
from include.experiments.answers import yeses
from include.experiments.propose import Proposal, free_route


def running(ledger: Ledger, file: ExperimentFile) -> Experiment | None:
    """Return the experiment of this very plan, if it runs: a step that is run again finds it started."""
    known = ledger.experiment(file.plan.salt)
    if known is None or known.state.is_terminal or known.plan_sha256 != file.plan.sha256:
        return None
    return known


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
    """Start an experiment that was approved; the treatment must be loaded.

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
    given = yeses(ledger, model, proposal, approvers)
    if len(given) < quorum:
        raise ExperimentError(
            f"{plan.salt}: {len(given)} of the {quorum} approvals it needs are in the ledger; without them a "
            "version gets no traffic"
        )
    state = ledger.route_state(model)
    route = split_route(settings, free_route(state, model), proposal)
    first, *further = proposal.tried
    new = Experiment(
        experiment_id=plan.salt,
        name=plan.name,
        model=model,
        plan=plan,
        plan_sha256=plan.sha256,
        size=proposal.size,
        control_version=proposal.control_version,
        treatment_version=first.version,
        treatment_sha256=first.sha256,
        further=tuple(further),
        share=plan.shares[0],
        state=ExperimentState.RUNNING,
        began_at=as_of,
        started_by=actor,
        approved_by=given,
        revision=1,
        started_at=as_of,
    )
    if route.champion.version != proposal.control_version:
        raise ExperimentError(f"{model}: {route.champion.version} serves now, not {proposal.control_version}")
    return ledger.start_experiment(new, RouteUpdate(route, state.revision))


def split_route(settings: Settings, route: ModelRoute, proposal: Proposal) -> ModelRoute:
    """Return a route with a plan's versions beside the champion; views of theirs alone bring their TTL."""
    store, plan = artefact_store(settings), proposal.plan
    manifests = [load_manifest(store, version) for version in proposal.treatments]
    ttl = route.feature_ttl_seconds
    for manifest in manifests:
        ttl = {**manifest.snapshot.feature_ttl_seconds, **ttl}
    first, *others = (
        version_route(manifest, version, settings.serving_endpoints)
        for manifest, version in zip(manifests, proposal.treatments, strict=True)
    )
    share = plan.shares[0]
    _, *slots = plan.slots(share)
    return ModelRoute.model_validate(
        {
            **route.model_dump(),
            "feature_ttl_seconds": ttl,
            "challenger": first.model_dump(),
            "share": share,
            "further": [
                {"route": other.model_dump(), "start": slot.start, "share": slot.share}
                for other, slot in zip(others, slots, strict=True)
            ],
            "change_id": plan.salt,
        }
    )
