"""Triton's loaded models as a projection of the ledger, repaired whenever they drift."""

from dataclasses import dataclass

from include.adapters.ledger.ledger import Ledger
from include.adapters.triton_control import TritonControl
from include.config.settings import Settings
from include.contracts.errors import NinetyError, ServingError
from include.contracts.packages import Version
from include.contracts.releases import Release, ReleaseStage
from include.contracts.routes import ModelRoute
from include.contracts.versions import triton_name
from include.rollout.load import load_version

_LOADED = frozenset({ReleaseStage.LOADED, ReleaseStage.RAMPING, ReleaseStage.BAKING})


@dataclass(frozen=True)
class TritonPlan:
    """What must change in Triton for one model."""

    load: tuple[Version, ...]
    unload: tuple[str, ...]


@dataclass(frozen=True)
class TritonReconciled:
    """What was done, and what could not be."""

    loaded: tuple[str, ...] = ()
    unloaded: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    """What the ledger does not want and was left loaded."""


def plan_triton(
    versions: tuple[Version, ...], route: ModelRoute | None, release: Release | None, loaded: set[str]
) -> TritonPlan:
    """Compare what the ledger wants loaded of a model with what is.

    Wanted are the versions of its route and that of an open release which is loaded or further. Only
    registered versions of the model are ever unloaded, and never that of an open release.

    Args:
        versions: all versions of the model.
        route: its route.
        release: its open release.
        loaded: Triton's names of everything loaded.
    """
    wanted = {item.version for item in route.loaded} if route is not None else set()
    if release is not None and release.stage in _LOADED:
        wanted.add(release.version)
    kept = wanted | ({release.version} if release is not None else set())
    named = {triton_name(item.model, item.version): item for item in versions}
    return TritonPlan(
        load=tuple(item for name, item in named.items() if item.version in wanted and name not in loaded),
        unload=tuple(
            sorted(name for name, item in named.items() if item.version not in kept and name in loaded)
        ),
    )


def reconcile_triton(
    settings: Settings,
    ledger: Ledger,
    triton: TritonControl,
    model: str,
    *,
    may_unload: frozenset[str],
) -> TritonReconciled:
    """Load what the ledger wants of a model, unload what it may of the rest; what fails is told."""
    try:
        loaded = triton.loaded()
    except ServingError as error:
        return TritonReconciled(problems=(str(error),))
    plan = plan_triton(
        ledger.versions(model, retired=True), ledger.route(model), ledger.open_release_of(model), loaded
    )
    done: list[str] = []
    gone: list[str] = []
    problems: list[str] = []
    for version in plan.load:
        try:
            load_version(settings, triton, version)
        except NinetyError as error:
            problems.append(str(error))
        else:
            done.append(triton_name(version.model, version.version))
    for name in (name for name in plan.unload if name in may_unload):
        try:
            triton.unload(name)
        except ServingError as error:
            problems.append(str(error))
        else:
            gone.append(name)
    left = tuple(name for name in plan.unload if name not in gone)
    return TritonReconciled(tuple(done), tuple(gone), tuple(problems), left)
