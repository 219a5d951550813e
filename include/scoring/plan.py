"""Planning a batch: which version, and under which policy it answers."""

from datetime import datetime

from include.adapters.artefact_home import artefact_store
from include.adapters.ledger.ledger import Ledger
from include.adapters.packages import load_manifest
from include.config.settings import Settings
from include.contracts.errors import RegistryError
from include.contracts.model import ModelContract
from include.contracts.packages import Version
from include.contracts.routes import Fallback
from include.contracts.scoring import ScoringPlan

CHAMPION = "champion"
"""Stands for the version that serves."""


def plan_batch(
    settings: Settings, ledger: Ledger, contract: ModelContract, as_of: datetime, version: str = CHAMPION
) -> ScoringPlan | None:
    """Return the plan of a batch, or None where the model has no champion and none other was asked for.

    Policy and default score are the route's where the model has one, as at the gateway; a version that never
    served is scored by its contract.

    Raises:
        RegistryError: there is no such version, it was retired, or it was never approved.
        ArtefactError: its package is damaged.
    """
    chosen = _chosen(ledger, contract.name, version)
    if chosen is None:
        return None
    manifest = load_manifest(artefact_store(settings), chosen)
    route = ledger.route(contract.name)
    fallbacks = route.fallbacks if route else contract.serving.fallbacks
    default_score = route.default_score if route else contract.serving.default_score
    return ScoringPlan(
        model=contract.name,
        version=chosen.version,
        artefact_sha256=chosen.artefact_sha256,
        signature=manifest.signature,
        transform_sha256=manifest.snapshot.transform_sha256,
        feature_ttl_seconds=manifest.snapshot.feature_ttl_seconds,
        entity=route.entity if route else contract.entity,
        stale_policy=route.stale_policy if route else contract.features.stale_policy,
        default_score=default_score if _answers_by_default(fallbacks) else None,
        route_snapshot_id=ledger.snapshot_id() or "none",
        as_of=as_of,
    )


def _chosen(ledger: Ledger, model: str, version: str) -> Version | None:
    if version == CHAMPION:
        return ledger.champion(model)
    living = {item.version: item for item in ledger.versions(model)}
    if version not in living:
        state = "is retired" if ledger.version(model, version) else "is not registered"
        raise RegistryError(f"{model} {version} {state}; there are: {', '.join(living) or 'none'}")
    if not ledger.approved(model, version):
        # Scores go to the prediction log, where monitors and people take them for the platform's word.
        raise RegistryError(f"{model} {version} was never approved; release it first")
    return living[version]


def _answers_by_default(fallbacks: tuple[Fallback, ...]) -> bool:
    """Say whether the default score stands before the ladder ends."""
    reached = fallbacks[: fallbacks.index(Fallback.REFUSE)] if Fallback.REFUSE in fallbacks else fallbacks
    return Fallback.DEFAULT_SCORE in reached
