"""Packages in the artefact store: content-addressed, and read only when every byte is right."""

import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from include.adapters.artefacts import ArtefactStore
from include.adapters.files import sha256_of
from include.contracts.canonical import canonical_json
from include.contracts.errors import ArtefactError
from include.contracts.packages import (
    EVALUATION_NAME,
    GOLDEN_NAME,
    MANIFEST_NAME,
    GoldenSet,
    Manifest,
    Version,
)
from include.contracts.reports import EvaluationReport
from include.contracts.routes import VersionRoute

EVALUATIONS = "evaluations"
"""Folder of the reports that were made after registration."""

_Parsed = TypeVar("_Parsed", bound=BaseModel)


def package_uri(model: str, artefact_sha256: str) -> str:
    """Return where a package lies in the store."""
    return f"packages/{model}/{artefact_sha256}"


def publish_package(store: ArtefactStore, manifest: Manifest, files: dict[str, bytes]) -> str:
    """Store a package and return its artefact hash; the same package again changes nothing."""
    text = canonical_json(manifest.model_dump(mode="json"))
    digest = sha256(text).hexdigest()
    with tempfile.TemporaryDirectory() as temporary:
        for name, content in {**files, MANIFEST_NAME: text}.items():
            (Path(temporary) / name).write_bytes(content)
        store.publish(Path(temporary), package_uri(manifest.model, digest))
    return digest


def load_manifest(store: ArtefactStore, version: Version) -> Manifest:
    """Return a version's manifest once every file of its package is proven against it.

    Raises:
        ArtefactError: a file is missing, altered or was added; names it.
    """
    folder = store.path(version.package_uri)
    manifest = read_manifest(store, version)
    for name, expected in manifest.files.items():
        _check_file(folder / name, expected)
    added = {path.name for path in folder.iterdir()} - manifest.files.keys() - {MANIFEST_NAME}
    if added:
        raise ArtefactError(f"{folder} holds files its manifest does not name: {', '.join(sorted(added))}")
    return manifest


def read_manifest(store: ArtefactStore, version: Version) -> Manifest:
    """Return a version's manifest, itself proven; its files are not looked at.

    Raises:
        ArtefactError: the manifest is missing or altered.
    """
    path = store.path(version.package_uri) / MANIFEST_NAME
    _check_file(path, version.artefact_sha256)
    return _parse(Manifest, path)


def load_golden(store: ArtefactStore, version: Version) -> GoldenSet:
    """Return a version's golden predictions; `load_manifest` proves them first.

    Raises:
        ArtefactError: they cannot be read.
    """
    return _parse(GoldenSet, store.path(version.package_uri) / GOLDEN_NAME)


def proven_golden(store: ArtefactStore, model: str, artefact_sha256: str) -> GoldenSet:
    """Return the golden predictions of an artefact, proven by its hash; its other files are not looked at.

    Raises:
        ArtefactError: package, manifest or predictions are missing or altered.
    """
    folder = store.path(package_uri(model, artefact_sha256))
    _check_file(folder / MANIFEST_NAME, artefact_sha256)
    expected = _parse(Manifest, folder / MANIFEST_NAME).files.get(GOLDEN_NAME, "")
    _check_file(folder / GOLDEN_NAME, expected)
    return _parse(GoldenSet, folder / GOLDEN_NAME)


def load_report(store: ArtefactStore, version: Version) -> EvaluationReport:
    """Return a version's evaluation report; `load_manifest` proves it first.

    Raises:
        ArtefactError: it cannot be read.
    """
    return _parse(EvaluationReport, store.path(version.package_uri) / EVALUATION_NAME)


def publish_evaluation(store: ArtefactStore, report: EvaluationReport) -> str:
    """Store a report made after registration and return its URI; the same report again changes nothing."""
    text = canonical_json(report.model_dump(mode="json"))
    uri = f"{EVALUATIONS}/{report.model}/{sha256(text).hexdigest()}.json"
    store.write(uri, text)
    return uri


def load_evaluation(store: ArtefactStore, uri: str) -> EvaluationReport:
    """Return a report made after registration, proven by the hash it is named by.

    Raises:
        ArtefactError: it is missing, altered or cannot be read.
    """
    path = store.path(uri)
    _check_file(path, path.stem)
    return _parse(EvaluationReport, path)


def version_route(manifest: Manifest, version: Version, endpoints: tuple[str, ...]) -> VersionRoute:
    """Return how one version is reached."""
    return VersionRoute(
        version=version.version,
        artefact_sha256=version.artefact_sha256,
        signature=manifest.signature,
        endpoints=endpoints,
        transform_sha256=manifest.snapshot.transform_sha256,
        maximum_batch=manifest.resources.maximum_batch,
    )


def _parse(kind: type[_Parsed], path: Path) -> _Parsed:
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ArtefactError(f"{path} is not a readable {kind.__name__}: {error}") from error


def _check_file(path: Path, expected: str) -> None:
    if not path.is_file():
        raise ArtefactError(f"{path} is missing from its package; restore it or register the model anew")
    found = sha256_of(path)
    if found != expected:
        raise ArtefactError(
            f"{path} was altered: its SHA-256 is {found[:12]}…, the package says {expected[:12]}…"
        )
