"""Rollback: back to an earlier version at once, with neither Airflow nor MLflow."""

from collections.abc import Sequence
from logging import getLogger

from include.adapters.artefact_home import artefact_store
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.packages import load_manifest, version_route
from include.adapters.triton_control import TritonControl
from include.config.settings import Settings
from include.contracts.alerts import AlertContent
from include.contracts.errors import LedgerError, RegistryError, ServingError
from include.contracts.packages import Manifest, Version
from include.contracts.ramps import RampDecision
from include.contracts.releases import Release, ReleaseStage
from include.contracts.routes import ModelRoute
from include.rollout.load import load_version
from include.rollout.switch import shadow_beside, ttl_beside

PREVIOUS = "previous"
"""Names the champion before the present one."""

_log = getLogger(__name__)
_UNDER_WAY = frozenset(
    {ReleaseStage.APPROVED, ReleaseStage.LOADED, ReleaseStage.RAMPING, ReleaseStage.BAKING}
)


def roll_back(
    settings: Settings,
    ledger: Ledger,
    tritons: Sequence[TritonControl],
    model: str,
    *,
    actor: str,
    reason: str,
    to: str = PREVIOUS,
    decision: RampDecision | None = None,
    raises: AlertContent | None = None,
) -> ModelRoute:
    """Send all traffic to an earlier version, loaded and compared with its golden predictions first.

    A release of the model that is approved or further ends as rolled back in the same transaction.
    Rolled back to what already serves alone, nothing changes. Only a version that has been champion before
    can be rolled back to: any other would get traffic that nobody approved.

    Args:
        settings: where packages, repository and Triton are.
        ledger: where it is written.
        tritons: the servers to load it into; while one answers, those that are away do not hold it up.
        model: the model.
        actor: user name, or `system`.
        reason: why; it is kept.
        to: a semantic version, or `previous`: during a ramp the champion beside the new version, after it
            the champion before.
        decision: what a ramp decided it by; it is kept.
        raises: an alert that is raised with it.

    Raises:
        RegistryError: the version is unknown or was never champion, or there is no previous one.
        LedgerError: the model serves nothing, or no reason is given.
        ArtefactError, ServingError: it cannot be loaded; the route stays as it was.
        ConflictError: somebody changed the route meanwhile.
    """
    if not reason.strip():
        raise LedgerError("a rollback needs a written reason")
    state = ledger.route_state(model)
    if state.route is None:
        raise LedgerError(f"{model} serves nothing; there is nothing to roll back")
    version = _target(ledger, state.route, to)
    for triton in _answering(tritons):
        load_version(settings, triton, version)
    release = _under_way(ledger, model)
    if release is None and (state.route.champion.version, state.route.share) == (version.version, 0.0):
        return state.route
    manifest = load_manifest(artefact_store(settings), version)
    route = rolled_back(state.route, manifest, version, settings.serving_endpoints)
    update = RouteUpdate(route, state.revision)
    if release is None:
        ledger.change_route(update, actor=actor, reason=reason)
    else:
        ledger.advance_release(
            release.release_id,
            release.revision,
            ReleaseStage.ROLLED_BACK,
            actor=actor,
            share=0.0,
            reason=reason,
            route=update,
            decision=decision,
            raises=raises,
        )
    return route


def rolled_back(
    before: ModelRoute,
    manifest: Manifest,
    version: Version,
    endpoints: tuple[str, ...],
) -> ModelRoute:
    """Return a route with a version as sole champion; entity, policies and fallbacks stay.

    What it is rolled back from is not kept as `previous`: nothing may fall back to it.
    """
    return before.unsplit().model_copy(
        update={
            "feature_ttl_seconds": ttl_beside(before, manifest.snapshot.feature_ttl_seconds),
            "champion": version_route(manifest, version, endpoints),
            "previous": None,
            **shadow_beside(before, version.version),
        }
    )


def _answering(tritons: Sequence[TritonControl]) -> Sequence[TritonControl]:
    """Return those that answer, or all where none does, so that loading says what is wrong.

    Into the others reconciling loads what is wanted once they are back.
    """
    return [triton for triton in tritons if _answers(triton)] or tritons


def _answers(triton: TritonControl) -> bool:
    try:
        triton.loaded()
    except ServingError as error:
        _log.warning("the version is not loaded there: %s", error)
        return False
    return True


def _target(ledger: Ledger, route: ModelRoute, to: str) -> Version:
    previous = route.champion if route.challenger is not None else route.previous
    if to == PREVIOUS and previous is None:
        raise RegistryError(f"{route.model} has no previous version; name one with its number")
    name = previous.version if to == PREVIOUS and previous is not None else to
    found = {item.version: item for item in ledger.versions(route.model)}
    if name not in found:
        raise RegistryError(f"{route.model} has no version {name}; registered: {', '.join(found)}")
    _check_served(ledger, found[name])
    return found[name]


def _check_served(ledger: Ledger, version: Version) -> None:
    # The history is only ever appended to: what has served once stays so, no lock is needed.
    history = ledger.route_history(version.model)
    served = [change.route.champion for change in history if change.route is not None]
    if (version.version, version.artefact_sha256) not in {
        (item.version, item.artefact_sha256) for item in served
    }:
        raise RegistryError(
            f"{version.model} {version.version} has never been champion, so a rollback to it would go round "
            f"its approval; release it instead. Champions so far: "
            f"{', '.join(dict.fromkeys(item.version for item in served))}"
        )


def _under_way(ledger: Ledger, model: str) -> Release | None:
    release = ledger.open_release_of(model)
    return release if release is not None and release.stage in _UNDER_WAY else None
