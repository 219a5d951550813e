"""The route of a version with all traffic: the new version becomes champion, the old one stays warm."""

from collections.abc import Mapping
from typing import Any

from include.adapters.packages import version_route
from include.contracts.errors import ConflictError
from include.contracts.model import ModelContract
from include.contracts.packages import Manifest, Version
from include.contracts.releases import Release
from include.contracts.routes import ModelRoute, VersionRoute


def check_contract(contract: ModelContract, release: Release) -> None:
    """Refuse to go on under another contract than the release was opened under.

    Raises:
        ConflictError: it changed.
    """
    if contract.sha256 != release.contract_sha256:
        raise ConflictError(
            f"release {release.release_id}: the contract of {release.model} changed since it was opened; "
            "open another release"
        )


def full_route(
    contract: ModelContract,
    manifest: Manifest,
    version: Version,
    *,
    endpoints: tuple[str, ...],
    before: ModelRoute | None,
    change_id: str,
) -> ModelRoute:
    """Return the route with a version as champion at share 1, the champion before it as `previous`."""
    return ModelRoute(
        model=contract.name,
        entity=contract.entity,
        feature_ttl_seconds=ttl_beside(before, manifest.snapshot.feature_ttl_seconds),
        stale_policy=contract.features.stale_policy,
        fallbacks=contract.serving.fallbacks,
        default_score=contract.serving.default_score,
        deadline_seconds=contract.serving.deadline_ms / 1000,
        champion=version_route(manifest, version, endpoints),
        change_id=change_id,
        previous=previous_of(before, version.version),
        **shadow_beside(before, version.version),
    )


def shadow_beside(before: ModelRoute | None, champion: str) -> dict[str, Any]:
    """Return the fields of a route that keep its shadow; one that becomes champion is no shadow any more."""
    if before is None or before.shadow is None or before.shadow.version == champion:
        return {"shadow": None, "shadow_share": 0.0}
    return {"shadow": before.shadow, "shadow_share": before.shadow_share}


def ttl_beside(before: ModelRoute | None, champions: Mapping[str, float]) -> dict[str, float]:
    """Return the TTL by view under a new champion; those of a shadow's views alone stay."""
    others = {} if before is None or before.shadow is None else before.feature_ttl_seconds
    return {**others, **champions}


def previous_of(before: ModelRoute | None, champion: str) -> VersionRoute | None:
    """Return what to keep warm beside a new champion: the one before it, never itself."""
    if before is None:
        return None
    if before.champion.version != champion:
        return before.champion
    return before.previous
