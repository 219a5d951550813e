"""Shadow traffic: a candidate that requests are mirrored to and that never answers."""

from collections.abc import Sequence

from include.adapters.artefact_home import artefact_store
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.packages import load_manifest, version_route
from include.adapters.triton_control import TritonControl
from include.config.settings import Settings
from include.contracts.errors import LedgerError, RegistryError
from include.contracts.packages import Manifest, Version
from include.contracts.routes import ModelRoute
from include.rollout.load import load_version


def start_shadow(
    settings: Settings,
    ledger: Ledger,
    tritons: Sequence[TritonControl],
    model: str,
    *,
    version: str,
    share: float,
    actor: str,
) -> ModelRoute:
    """Mirror a share of a model's requests to a version, loaded and proven by its golden predictions first.

    It takes another shadow's place. Nobody needs to approve it: what it says reaches no caller. With the same
    version and share, nothing changes.

    Args:
        settings: where packages, repository and Triton are.
        ledger: where it is written.
        tritons: the servers to load it into; each of them must have it.
        model: the model.
        version: a registered version that does not answer already.
        share: share of the units, above 0 and up to 1.
        actor: user name, or `system`.

    Raises:
        RegistryError: there is no such version, or it has traffic.
        LedgerError: the model serves nothing, or the share is out of range.
        ArtefactError, ServingError: it cannot be loaded; the route stays as it was.
        ConflictError: somebody changed the route meanwhile.
    """
    state = ledger.route_state(model)
    if state.route is None:
        raise LedgerError(f"{model} serves nothing; there is no request to mirror")
    if not 0 < share <= 1:
        raise LedgerError(f"share {share:g}: a shadow gets a share above 0 and up to 1")
    found = _candidate(ledger, state.route, version)
    for triton in tritons:
        load_version(settings, triton, found)
    manifest = load_manifest(artefact_store(settings), found)
    route = shadowed(state.route, manifest, found, endpoints=settings.serving_endpoints, share=share)
    if route != state.route:
        reason = f"{version} shadows {share:.1%} of the units"
        ledger.change_route(RouteUpdate(route, state.revision), actor=actor, reason=reason)
    return route


def stop_shadow(ledger: Ledger, model: str, *, actor: str) -> ModelRoute:
    """Mirror no more requests of a model; the reconciler unloads the version. Without one nothing changes.

    Raises:
        LedgerError: the model serves nothing.
        ConflictError: somebody changed the route meanwhile.
    """
    state = ledger.route_state(model)
    if state.route is None:
        raise LedgerError(f"{model} serves nothing, and nothing shadows it")
    if state.route.shadow is None:
        return state.route
    alone = state.route.model_copy(update={"shadow": None, "shadow_share": 0.0})
    reason = f"{state.route.shadow.version} shadows no more"
    ledger.change_route(RouteUpdate(alone, state.revision), actor=actor, reason=reason)
    return alone


def shadowed(
    before: ModelRoute, manifest: Manifest, version: Version, *, endpoints: tuple[str, ...], share: float
) -> ModelRoute:
    """Return a route with a version as its shadow; what answers stays. Views of it alone bring their TTL."""
    return before.model_copy(
        update={
            "feature_ttl_seconds": {**manifest.snapshot.feature_ttl_seconds, **before.feature_ttl_seconds},
            "shadow": version_route(manifest, version, endpoints),
            "shadow_share": share,
        }
    )


def _candidate(ledger: Ledger, route: ModelRoute, version: str) -> Version:
    found = {item.version: item for item in ledger.versions(route.model)}
    if version not in found:
        raise RegistryError(
            f"{route.model} has no version {version or '?'}; registered: {', '.join(found) or 'none'}"
        )
    if version in {arm.version.version for arm in route.arms}:
        raise RegistryError(f"{route.model} {version} answers already; a shadow is for what does not")
    return found[version]
