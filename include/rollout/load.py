"""Loading a version into Triton, and proof that it answers there as it did when it was made."""

from collections.abc import Sequence

import numpy as np

from include.adapters.artefact_home import artefact_store
from include.adapters.golden import GoldenDeviation, worst_deviation
from include.adapters.ledger.ledger import Ledger
from include.adapters.model_repository import stage_version
from include.adapters.packages import load_golden, load_manifest
from include.adapters.triton_control import TritonControl
from include.adapters.triton_memory import check_memory
from include.config.settings import Settings
from include.contracts.errors import ArtefactError, LedgerError
from include.contracts.events import SYSTEM
from include.contracts.packages import Version
from include.contracts.releases import Release, ReleaseStage
from include.contracts.versions import triton_name

_LOADABLE = frozenset({ReleaseStage.APPROVED, ReleaseStage.LOADED, ReleaseStage.RAMPING, ReleaseStage.BAKING})


def load_version(settings: Settings, triton: TritonControl, version: Version) -> GoldenDeviation:
    """Stage a version, load it and compare its golden predictions; repeated, it does the same again.

    A version whose predictions are wrong is unloaded again.

    Returns:
        The worst deviation, which is within tolerance.

    Raises:
        ArtefactError: the package is damaged, or the predictions are not what they were.
        ServingError: Triton cannot be reached, has no memory left for it, or refuses to load it.
    """
    store = artefact_store(settings)
    manifest = load_manifest(store, version)
    golden = load_golden(store, version)
    name = triton_name(version.model, version.version)
    package = store.path(version.package_uri)
    stage_version(
        package,
        settings.triton_repository,
        name,
        manifest.signature,
        manifest.resources,
        backend=settings.triton_backend,
    )
    check_memory(triton, name, manifest.resources.memory_mb, settings.triton_memory_mb)
    triton.load(name)
    rows = [case.features for case in golden.cases]
    most = manifest.resources.maximum_batch
    batches = [rows[start : start + most] for start in range(0, len(rows), most)]
    scores = np.concatenate([triton.infer(name, manifest.signature, batch) for batch in batches])
    worst = worst_deviation(golden, scores)
    if worst.difference > golden.absolute_tolerance:
        triton.unload(name)
        raise ArtefactError(
            f"{version.model} {version.version} does not answer as it did when it was made: golden case "
            f"{worst.case} gave {worst.got}, not {worst.expected}; off by {worst.difference:.3g}, allowed "
            f"{golden.absolute_tolerance:.3g}. It was unloaded again."
        )
    return worst


def load_release(
    settings: Settings, ledger: Ledger, tritons: Sequence[TritonControl], release: Release
) -> Release:
    """Load an approved release's version and say so in the ledger; one further on stays where it is.

    It is loaded once every Triton has it and gives its golden predictions.

    A promoted one is not loaded anew: what serves is kept loaded by reconciling. A version that is not what
    was approved ends its release: it will not become right by waiting, and an open release keeps every other
    one out. A Triton that is away does not: the step can be run again.

    Raises:
        ArtefactError, ServingError: as `load_version`.
        LedgerError: the release is not approved, or has ended; nothing was touched.
        ConflictError: somebody moved the release meanwhile.
    """
    if release.stage is ReleaseStage.PROMOTED:
        return release
    if release.stage not in _LOADABLE:
        raise LedgerError(
            f"release {release.release_id} is {release.stage.value} and may not be loaded; "
            "only an approved one may"
        )
    version = ledger.version(release.model, release.version)
    if version is None or version.artefact_sha256 != release.artefact_sha256:
        raise ArtefactError(f"release {release.release_id}: its artefact is not registered any more")
    try:
        for triton in tritons:
            load_version(settings, triton, version)
    except ArtefactError as error:
        ledger.abandon(release.model, actor=SYSTEM, reason=str(error), release_id=release.release_id)
        raise
    if release.stage is not ReleaseStage.APPROVED:
        return release
    return ledger.advance_release(
        release.release_id, release.revision, ReleaseStage.LOADED, actor=release.triggered_by
    )
