"""Registration: a candidate that passed its gates becomes a version, exactly once."""

import logging
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from include.adapters.artefact_home import artefact_store
from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.packages import package_uri, publish_package, read_manifest
from include.adapters.tracking import Tracking
from include.config.models import ModelFolder
from include.config.settings import Settings
from include.contracts.errors import GateError, RegistryError
from include.contracts.model import ModelContract
from include.contracts.packages import (
    EVALUATION_NAME,
    GOLDEN_NAME,
    MODEL_NAME,
    PAGE_NAME,
    TRAINING_NAME,
    Manifest,
    TrainingRecord,
    Version,
)
from include.contracts.reports import SCHEMA_VERSION, EvaluationReport, GateResult
from include.contracts.versions import SemanticVersion
from include.registry.model_card import write_card
from include.registry.next_version import next_version
from include.registry.reconcile import project_version

LOG = logging.getLogger(__name__)
PACKAGED = (MODEL_NAME, GOLDEN_NAME, EVALUATION_NAME, PAGE_NAME)
"""Files of a candidate that travel in its package."""

_Parsed = TypeVar("_Parsed", bound=BaseModel)


def register(
    settings: Settings,
    ledger: Ledger,
    tracking: Tracking,
    folder: ModelFolder,
    candidate_uri: str,
    *,
    actor: str,
) -> Version:
    """Package a candidate, write it into the ledger, then its model card, then tell MLflow.

    Killed at any point and run again, it registers one version. Where MLflow fails, the version is
    registered all the same and reconciling repairs MLflow.

    Args:
        settings: says where the artefact store is.
        ledger: holds the truth about versions.
        tracking: MLflow, which is told afterwards.
        folder: the model's folder.
        candidate_uri: folder of the candidate inside the artefact store.
        actor: user name, or `system`.

    Raises:
        GateError: the candidate missed a gate, or one was not measured; each is named with its figures.
        RegistryError: something a version must carry is missing, or the tree was dirty.
        ConflictError: another run registered the same version number at this moment; run it again.
    """
    store = artefact_store(settings)
    candidate = store.path(candidate_uri)
    record = _read(TrainingRecord, candidate / TRAINING_NAME)
    report = _read(EvaluationReport, candidate / EVALUATION_NAME)
    check_candidate(folder.contract, record, report)
    files = {name: _bytes(candidate / name) for name in PACKAGED}
    hashes = {name: sha256(content).hexdigest() for name, content in files.items()}
    manifest = Manifest(**{**dict(record), "files": hashes})
    digest = publish_package(store, manifest, files)
    version = _write(ledger, store, manifest, digest, actor)
    write_card(store, folder.contract, version, manifest, report)
    try:
        project_version(tracking, store, version)
    except RegistryError as error:
        LOG.warning("%s %s is registered, MLflow not yet told: %s", version.model, version.version, error)
    return version


def check_candidate(contract: ModelContract, record: TrainingRecord, report: EvaluationReport) -> None:
    """Refuse a candidate that may not become a version.

    Raises:
        GateError: it missed a gate, or one was not measured.
        RegistryError: it is another model's, of unknown origin, its tree was dirty or its report is old.
    """
    if {record.model, report.model} != {contract.name}:
        raise RegistryError(
            f"the candidate is of {record.model!r}, its report of {report.model!r}; both must be of "
            f"{contract.name!r}"
        )
    if report.schema_version < SCHEMA_VERSION:
        raise RegistryError(
            f"{contract.name}: not registered, its report is of version {report.schema_version} and lacks "
            "gates that are asked for now; evaluate it again"
        )
    if not report.passed:
        raise GateError(
            f"{contract.name}: not registered.{_told('missed', report.failures)}"
            f"{_told('not measured', report.unmeasured)}"
        )
    code = record.code
    missing = unknown_provenance(record)
    if missing:
        raise RegistryError(f"{contract.name}: not registered, unknown: {', '.join(missing)}; train again")
    if code.dirty and not contract.training.allow_dirty:
        raise RegistryError(
            f"{contract.name}: trained from a tree with uncommitted changes on {code.commit[:12]}; commit "
            "and train again, or set training.allow_dirty in its contract"
        )


def _told(verdict: str, gates: tuple[GateResult, ...]) -> str:
    """Return a line a gate, with its figures."""
    lines = (f"\n  {gate.kind.value} {gate.metric}: {gate.detail}" for gate in gates)
    return f" These gates were {verdict}:{''.join(lines)}" if gates else ""


def unknown_provenance(record: TrainingRecord) -> tuple[str, ...]:
    """Return the paths of what a record must say of where a candidate comes from, and does not."""
    snapshot, code = record.snapshot, record.code
    said = {
        "run_id": record.run_id,
        "requested_by": record.requested_by,
        "hardware": record.hardware,
        "contract_sha256": record.contract_sha256,
        "metrics": record.metrics,
        "duration_seconds": record.duration_seconds > 0,
        "snapshot.sha256": snapshot.sha256,
        "snapshot.uri": snapshot.uri,
        "snapshot.rows": snapshot.rows,
        "snapshot.start, snapshot.end": snapshot.start < snapshot.end,
        "snapshot.feature_service": snapshot.feature_service,
        "code.commit": code.commit,
        "code.fingerprint": code.fingerprint,
        "code.lock_sha256": code.lock_sha256,
    }
    return tuple(path for path, value in said.items() if not value)


def _write(ledger: Ledger, store: ArtefactStore, manifest: Manifest, digest: str, actor: str) -> Version:
    known = ledger.version_by_artefact(manifest.model, digest)
    if known is not None:
        return known
    return ledger.register_version(
        model=manifest.model,
        version=str(next_version(_latest(ledger, store, manifest.model), manifest)),
        artefact_sha256=digest,
        package_uri=package_uri(manifest.model, digest),
        run_id=manifest.run_id,
        requested_by=manifest.requested_by,
        actor=actor,
    )


def _latest(ledger: Ledger, store: ArtefactStore, model: str) -> tuple[SemanticVersion, Manifest] | None:
    versions = ledger.versions(model, retired=True)
    if not versions:
        return None
    return SemanticVersion.parse(versions[-1].version), read_manifest(store, versions[-1])


def _bytes(path: Path) -> bytes:
    if not path.is_file():
        raise RegistryError(f"{path} is missing: the candidate is incomplete; train and evaluate it again")
    return path.read_bytes()


def _read(kind: type[_Parsed], path: Path) -> _Parsed:
    try:
        return kind.model_validate_json(_bytes(path))
    except ValidationError as error:
        raise RegistryError(f"{path} is not a complete {kind.__name__}: {error}") from error
