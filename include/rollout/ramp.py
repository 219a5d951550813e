"""A release on its ramp: places entered, looked at and left, each in one transaction of the ledger.

The ledger alone says where a ramp stands and when a place is due, so that a step may be killed at any moment
and run again, by whoever comes: what was done is found done, and what was not is done once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.adapters.artefact_home import artefact_store
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.packages import load_manifest, version_route
from include.adapters.triton_control import TritonControl, every_triton
from include.config.settings import Settings
from include.contracts.alerts import AlertContent
from include.contracts.errors import ArtefactError, ConflictError, LedgerError
from include.contracts.events import SYSTEM
from include.contracts.model import ModelContract
from include.contracts.packages import Manifest, Version
from include.contracts.ramps import SHADOW_PLACE, Ramp, RampDecision, RampVerdict
from include.contracts.releases import Release, ReleaseStage
from include.contracts.routes import ModelRoute
from include.rollout.approval import check_unchanged
from include.rollout.bounds import bounds_of
from include.rollout.decide import decide
from include.rollout.promote import promote
from include.rollout.ramp_alerts import held_alert, rolled_back_alert
from include.rollout.ramp_evidence import RampEvidence
from include.rollout.rollback import roll_back
from include.rollout.shadow import shadowed
from include.rollout.switch import check_contract, full_route

_RAMPED = frozenset({ReleaseStage.RAMPING, ReleaseStage.BAKING})


@dataclass(frozen=True)
class RampTools:
    """What every step of a ramp works with."""

    settings: Settings
    ledger: Ledger
    contract: ModelContract
    tritons: Sequence[TritonControl]
    evidence: RampEvidence


def ramp_tools(settings: Settings, contract: ModelContract) -> RampTools:
    """Return the tools of a process's settings."""
    ledger = Ledger(settings.ledger_uri)
    evidence = RampEvidence(settings, ledger, contract.monitoring)
    return RampTools(settings, ledger, contract, every_triton(settings), evidence)


def next_place(release: Release) -> int | None:
    """Return the place a release is at, or is to enter; None once it has ended.

    Without a champion there is nothing to ramp beside: the first version of a model takes all traffic at
    once.
    """
    if release.stage.is_terminal:
        return None
    if release.ramp is None:
        return release.plan.first_place if release.champion_version is not None else release.plan.full_place
    return release.ramp.place + 1 if release.ramp.passed else release.ramp.place


def enter(tools: RampTools, release: Release, actor: str, *, clock: float = 1.0) -> Release:
    """Give a release the traffic of its next place; release and route change in one transaction.

    A place that was entered already stays as it is, and a ramp that is paused enters none. Where contract,
    artefact or champion changed since the release opened, it ends: what was approved is not what would get
    the traffic.

    Args:
        tools: what to work with.
        release: loaded, or at a place that is passed.
        actor: user name, or `system`.
        clock: what the plan's times are multiplied by; only the first place sets it.

    Raises:
        ConflictError: contract, champion, release or route changed.
        ArtefactError: the package is damaged.
        LedgerError: the release is not loaded, or has ended.
    """
    place = next_place(release)
    if place is None:
        raise LedgerError(f"release {release.release_id} is {release.stage.value}; it has no next place")
    if release.ramp is not None and (release.ramp.place == place or release.ramp.paused_at is not None):
        return release
    _check(tools, release, place)
    state = tools.ledger.route_state(release.model)
    route = _route(tools, release, place, state.route)
    return tools.ledger.advance_release(
        release.release_id,
        release.revision,
        ReleaseStage.RAMPING if place < release.plan.full_place else ReleaseStage.BAKING,
        actor=actor,
        share=release.plan.share_at(place),
        reason=f"enters {release.plan.name_of(place)}",
        route=None if route is None else RouteUpdate(route, state.revision),
        ramp=_entered(release, place, tools.ledger.now(), clock),
    )


def look(tools: RampTools, release: Release) -> tuple[Release, RampDecision]:
    """Look at a release's place, decide, and do what was decided.

    Repeated after a kill it decides anew on what it then sees; what it had decided is in the ledger.

    Raises:
        LedgerError: the release is at no place.
        ConflictError: somebody moved the release or the route meanwhile.
        ArtefactError, ServingError: what it goes back to cannot be loaded; everything stays as it was.
    """
    if release.ramp is None or release.stage not in _RAMPED:
        raise LedgerError(f"release {release.release_id} is {release.stage.value}: at no place of a ramp")
    now = tools.ledger.now()
    found = tools.evidence.of(release, now)
    decision = decide(release.plan, release.ramp, found, bounds_of(release), now)
    return _do(tools, release, release.ramp, decision, now), decision


def _do(tools: RampTools, release: Release, ramp: Ramp, decision: RampDecision, now: datetime) -> Release:
    if decision.verdict is RampVerdict.PROMOTE:
        return leave(tools.ledger, release, SYSTEM, decision)
    if decision.verdict is RampVerdict.ROLLBACK:
        return go_back(tools, release, SYSTEM, decision, raises=rolled_back_alert(release, decision))
    if decision.verdict is RampVerdict.HOLD:
        answer_by = now + timedelta(hours=tools.settings.approval_timeout_hours)
        held = ramp.model_copy(
            update={"held": decision.reason, "answer_by": answer_by, "looks": ramp.looks + 1}
        )
        return moved(tools.ledger, release, held, SYSTEM, decision, raises=held_alert(release, decision))
    return release


def leave(ledger: Ledger, release: Release, actor: str, decision: RampDecision) -> Release:
    """Mark a place as passed; after the bake the release is promoted and its predecessor let go.

    Raises:
        ConflictError: somebody moved it meanwhile.
    """
    if release.ramp is None:
        raise LedgerError(f"release {release.release_id} is at no place of a ramp")
    passed = release.ramp.model_copy(update={"passed": True, "held": None, "answer_by": None})
    if passed.place == release.plan.bake_place:
        return promote(ledger, release, actor, decision.detail, ramp=passed, decision=decision)
    return moved(ledger, release, passed, actor, decision)


def go_back(
    tools: RampTools,
    release: Release,
    actor: str,
    decision: RampDecision,
    *,
    raises: AlertContent | None = None,
) -> Release:
    """End a release as rolled back; before full traffic its version just loses its share.

    That needs no Triton. Afterwards the champion before it is loaded and proven first.

    Raises:
        ConflictError: somebody moved release or route meanwhile.
        RegistryError, ArtefactError, ServingError: there is nothing to go back to, or it cannot be loaded.
    """
    ledger = tools.ledger
    if release.stage is ReleaseStage.BAKING:
        roll_back(
            tools.settings,
            ledger,
            tools.tritons,
            release.model,
            actor=actor,
            reason=decision.detail,
            decision=decision,
            raises=raises,
        )
        return _ended(ledger, release)
    state = ledger.route_state(release.model)
    if state.route is None:
        raise ConflictError(f"release {release.release_id}: {release.model} serves nothing any more")
    return ledger.advance_release(
        release.release_id,
        release.revision,
        ReleaseStage.ROLLED_BACK,
        actor=actor,
        share=0.0,
        reason=decision.detail,
        route=RouteUpdate(without(state.route, release.version), state.revision),
        decision=decision,
        raises=raises,
    )


def moved(
    ledger: Ledger,
    release: Release,
    ramp: Ramp,
    actor: str,
    decision: RampDecision,
    *,
    raises: AlertContent | None = None,
) -> Release:
    """Write where a release stands now, and what was decided; its traffic stays."""
    return ledger.advance_release(
        release.release_id,
        release.revision,
        release.stage,
        actor=actor,
        reason=decision.detail,
        ramp=ramp,
        decision=decision,
        raises=raises,
    )


def without(route: ModelRoute, version: str) -> ModelRoute:
    """Return a route in which a version neither answers beside the champion nor shadows it."""
    fields: dict[str, object] = {}
    if route.challenger is not None and route.challenger.version == version:
        route = route.unsplit()
    if route.shadow is not None and route.shadow.version == version:
        fields |= {"shadow": None, "shadow_share": 0.0}
    return route.model_copy(update=fields)


def beside(
    before: ModelRoute,
    manifest: Manifest,
    version: Version,
    *,
    endpoints: tuple[str, ...],
    share: float,
    change_id: str,
) -> ModelRoute:
    """Return a route on which a version answers a share of the units; all else of the champion's stays.

    Views that only the new version reads bring their TTL.
    """
    return without(before, version.version).model_copy(
        update={
            "feature_ttl_seconds": {**manifest.snapshot.feature_ttl_seconds, **before.feature_ttl_seconds},
            "challenger": version_route(manifest, version, endpoints),
            "share": share,
            "change_id": change_id,
        }
    )


def _check(tools: RampTools, release: Release, place: int) -> None:
    """End a release whose ground has shifted; once it has all traffic, it is the ground itself."""
    if place > release.plan.full_place:
        return
    try:
        check_contract(tools.contract, release)
        check_unchanged(tools.ledger, release)
    except ConflictError as error:
        # It will not become right by waiting, and an open release keeps every other one out.
        tools.ledger.abandon(release.model, actor=SYSTEM, reason=str(error), release_id=release.release_id)
        raise


def _route(tools: RampTools, release: Release, place: int, before: ModelRoute | None) -> ModelRoute | None:
    """Return the route of a place; None where it stays as it is."""
    if place == release.plan.bake_place:
        return None
    version = tools.ledger.version(release.model, release.version)
    if version is None:
        raise ArtefactError(f"release {release.release_id}: {release.version} is not registered any more")
    manifest = load_manifest(artefact_store(tools.settings), version)
    endpoints = tools.settings.serving_endpoints
    if place == release.plan.full_place:
        return full_route(
            tools.contract,
            manifest,
            version,
            endpoints=endpoints,
            before=before,
            change_id=release.release_id,
        )
    if before is None:
        raise ConflictError(f"release {release.release_id}: {release.model} serves nothing any more")
    if place == SHADOW_PLACE and release.plan.shadow is not None:
        share = release.plan.shadow.share
        return shadowed(before, manifest, version, endpoints=endpoints, share=share)
    share = release.plan.share_at(place)
    return beside(before, manifest, version, endpoints=endpoints, share=share, change_id=release.release_id)


def _entered(release: Release, place: int, now: datetime, clock: float) -> Ramp:
    before, share = release.ramp, release.plan.share_at(place)
    speed = before.clock if before is not None else clock
    has_control = 0.0 < share < 1.0
    return Ramp(
        place=place,
        began_at=before.began_at if before is not None else now,
        entered_at=now,
        due_at=now + release.plan.hold_at(place) * speed,
        clock=speed,
        control_share=share if has_control else (before.control_share if before is not None else None),
    )


def _ended(ledger: Ledger, release: Release) -> Release:
    found = ledger.release(release.release_id)
    if found is None or not found.stage.is_terminal:
        raise LedgerError(f"release {release.release_id} was rolled back and is not over")
    return found
