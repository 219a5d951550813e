"""MLflow's registry as a projection of the ledger: told afterwards, repaired when it drifts."""

from dataclasses import dataclass

from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.packages import load_manifest
from include.adapters.tracking import Tracking
from include.contracts.packages import Version
from include.contracts.routes import ModelRoute
from include.registry.model_card import card_uri

CHAMPION = "champion"
CHALLENGER = "challenger"


@dataclass(frozen=True)
class RegistryPlan:
    """What MLflow must be told to agree with the ledger."""

    register: tuple[Version, ...]
    point: dict[str, str]
    """Semantic version by alias."""
    remove: tuple[str, ...]
    """Aliases that point at something and must not."""


def plan_registry(
    versions: tuple[Version, ...], route: ModelRoute | None, known: set[str], aliases: dict[str, str | None]
) -> RegistryPlan:
    """Compare what the ledger says with what MLflow holds.

    Args:
        versions: the model's versions in the ledger.
        route: the model's route in the ledger.
        known: semantic versions MLflow has.
        aliases: where MLflow's aliases point.
    """
    wanted = _aliases(route)
    return RegistryPlan(
        register=tuple(item for item in versions if item.version not in known),
        point={name: semver for name, semver in wanted.items() if aliases.get(name) != semver},
        remove=tuple(name for name, semver in aliases.items() if semver and name not in wanted),
    )


def reconcile_registry(ledger: Ledger, tracking: Tracking, store: ArtefactStore, model: str) -> RegistryPlan:
    """Make MLflow agree with the ledger about one model; return what had to be done.

    Raises:
        RegistryError: MLflow cannot be reached.
        ArtefactError: a package MLflow lacks is damaged.
    """
    aliases = {name: tracking.alias(model, name) for name in (CHAMPION, CHALLENGER)}
    plan = plan_registry(ledger.versions(model), ledger.route(model), set(tracking.versions(model)), aliases)
    for version in plan.register:
        project_version(tracking, store, version)
    for alias, semver in plan.point.items():
        tracking.set_alias(model, alias, semver)
    for alias in plan.remove:
        tracking.delete_alias(model, alias)
    return plan


def project_version(tracking: Tracking, store: ArtefactStore, version: Version) -> None:
    """Tell MLflow of one version; repeated, it does nothing.

    Raises:
        RegistryError: MLflow cannot be reached, or lacks the run.
        ArtefactError: the package is damaged.
    """
    manifest = load_manifest(store, version)
    tags = {
        "commit": manifest.code.commit,
        "dirty": str(manifest.code.dirty).lower(),
        "data_sha256": manifest.snapshot.sha256,
        "feature_service": manifest.snapshot.feature_service,
        "requested_by": version.requested_by,
    }
    uri = card_uri(version.model, version.version)
    # A version registered before there were cards has none.
    card = store.read(uri).decode() if store.exists(uri) else ""
    tracking.register(version, store.path(version.package_uri), tags, card)


def _aliases(route: ModelRoute | None) -> dict[str, str]:
    if route is None:
        return {}
    pointed = {CHAMPION: route.champion.version}
    return pointed if route.challenger is None else {**pointed, CHALLENGER: route.challenger.version}
