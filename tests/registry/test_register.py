import json
import multiprocessing
import os
import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.packages import load_golden, load_manifest, load_report
from include.adapters.tracking import Tracking
from include.config.models import ModelFolder
from include.config.settings import Settings
from include.contracts.errors import ArtefactError, GateError, RegistryError
from include.contracts.model import ModelContract
from include.contracts.packages import CodeState
from include.contracts.reports import EvaluationReport, Verdict
from include.registry.model_card import card_uri
from include.registry.reconcile import reconcile_registry
from include.registry.register import check_candidate, register
from tests.registry.candidates import evaluation_report, model_folder, training_record, write_candidate

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy"  # SQLAlchemy's word to MLflow
)

DIRTY = CodeState(commit="c" * 40, dirty=True, fingerprint="f" * 64, lock_sha256="e" * 64)


@pytest.fixture
def store(settings: Settings) -> ArtefactStore:
    """Give the artefact store."""
    return ArtefactStore(settings.artefacts_folder)


def run_of(tracking: Tracking) -> str:
    """Start a run and return its id."""
    return tracking.start_run("churn", f"run-{uuid4().hex}", {})


def test_candidate_becomes_a_version(
    settings: Settings, ledger: Ledger, tracking: Tracking, folder: ModelFolder, store: ArtefactStore
) -> None:
    """A candidate that passed is packaged under its hash, in the ledger, and in MLflow with its tags."""
    uri = write_candidate(store, folder, run_of(tracking))
    version = register(settings, ledger, tracking, folder, uri, actor="ada")
    assert (version.version, version.requested_by) == ("1.0.0", "ada")
    manifest = load_manifest(store, version)
    assert {"model.onnx", "golden.json", "evaluation.json", "evaluation.html"} == set(manifest.files)
    assert store.read(card_uri("churn", "1.0.0")).startswith(b"# churn 1.0.0")
    assert version.run_id == manifest.run_id
    assert load_report(store, version).passed
    assert len(load_golden(store, version).cases) == 3
    assert "1.0.0" in tracking.versions("churn")


def test_registered_once(
    settings: Settings, ledger: Ledger, down: Tracking, folder: ModelFolder, store: ArtefactStore
) -> None:
    """Registering again changes nothing; the next candidate gets the next version."""
    first = register(settings, ledger, down, folder, write_candidate(store, folder, "run-1"), actor="ada")
    again = register(settings, ledger, down, folder, "candidates/run-1", actor="ada")
    assert first == again
    uri = write_candidate(store, folder, "run-2", hyperparameters={"hidden": 64})
    assert register(settings, ledger, down, folder, uri, actor="ada").version == "1.1.0"
    assert ledger.verify() == 2


def test_mlflow_down_does_not_stop_it(
    settings: Settings,
    ledger: Ledger,
    down: Tracking,
    folder: ModelFolder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The ledger has the version, and the log says that MLflow was not told and where it is."""
    store = ArtefactStore(settings.artefacts_folder)
    register(settings, ledger, down, folder, write_candidate(store, folder, "run-1"), actor="ada")
    assert ledger.version("churn", "1.0.0") is not None
    assert "MLflow not yet told" in caplog.text
    assert "http://127.0.0.1:9" in caplog.text


def test_missed_gates_are_named(
    settings: Settings, ledger: Ledger, down: Tracking, folder: ModelFolder, store: ArtefactStore
) -> None:
    """A candidate below a gate is not registered; the error carries the figures."""
    uri = write_candidate(store, folder, "run-1", verdict=Verdict.FAIL)
    with pytest.raises(GateError, match=r"threshold roc_auc: roc_auc is 0\.8000, at least 0\.7700"):
        register(settings, ledger, down, folder, uri, actor="ada")
    assert ledger.versions("churn") == ()


def test_gates_that_were_not_measured_are_named(
    settings: Settings, ledger: Ledger, down: Tracking, folder: ModelFolder, store: ArtefactStore
) -> None:
    """Missing evidence is no pass: evaluated without Triton, a candidate is not registered."""
    uri = write_candidate(store, folder, "run-1", verdict=Verdict.NOT_MEASURED)
    with pytest.raises(
        GateError, match=r"not registered\. These gates were not measured:\n  threshold roc_auc"
    ):
        register(settings, ledger, down, folder, uri, actor="ada")
    assert ledger.versions("churn") == ()


def test_an_old_report_loads_and_registers_nothing(folder: ModelFolder) -> None:
    """A report of version 1 can be traced; a version needs the gates of today."""
    old = evaluation_report().model_dump(mode="json", exclude_defaults=True) | {"schema_version": 1}
    report = EvaluationReport.model_validate(old)
    assert (1, (), None) == (report.schema_version, report.windows, report.gates[0].reason)
    with pytest.raises(RegistryError, match="of version 1 and lacks gates"):
        check_candidate(folder.contract, training_record(folder, "run-1"), report)


def test_a_report_from_the_future_is_refused() -> None:
    """What is in it cannot be known."""
    with pytest.raises(ValidationError, match="less than or equal to 2"):
        EvaluationReport.model_validate(evaluation_report().model_dump(mode="json") | {"schema_version": 3})


@pytest.mark.parametrize("name", ["model.onnx", "golden.json", "training.json", "evaluation.json"])
def test_missing_files_are_named(
    settings: Settings,
    ledger: Ledger,
    down: Tracking,
    folder: ModelFolder,
    name: str,
) -> None:
    """An incomplete candidate is refused with the file it lacks."""
    store = ArtefactStore(settings.artefacts_folder)
    uri = write_candidate(store, folder, "run-1")
    (store.path(uri) / name).unlink()
    with pytest.raises(RegistryError, match=f"{name} is missing"):
        register(settings, ledger, down, folder, uri, actor="ada")
    assert ledger.versions("churn") == ()


def key_paths(document: dict[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each key of a record that has no default, the blocks' too."""
    for key, value in document.items():
        if before[:1] not in {("signature",), ("metrics",), ("hyperparameters",), ("resources",)}:
            yield (*before, key)
        if isinstance(value, dict):
            yield from key_paths(value, (*before, key))


DEFAULTED = {
    ("schema_version",),
    ("resources",),
    ("judgement_sha256",),
    ("snapshot", "transform_sha256"),
    ("signature", "classes"),
}
with TemporaryDirectory() as place:
    RECORD = training_record(model_folder(Path(place)), "run-1").model_dump(mode="json")
NEEDED = [
    path
    for path in key_paths(RECORD)
    if path not in DEFAULTED and path[:2] != ("snapshot", "feature_ttl_seconds")
]


@pytest.mark.parametrize("path", [*NEEDED, ("snapshot", "feature_ttl_seconds")], ids=".".join)
def test_missing_provenance_is_named(
    settings: Settings,
    ledger: Ledger,
    down: Tracking,
    folder: ModelFolder,
    path: tuple[str, ...],
) -> None:
    """A record that lacks any of its keys is refused with the key's path."""
    store = ArtefactStore(settings.artefacts_folder)
    uri = write_candidate(store, folder, "run-1")
    record = json.loads(store.read(f"{uri}/training.json"))
    place = record
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    store.write(f"{uri}/training.json", json.dumps(record).encode())
    with pytest.raises(RegistryError, match=re.escape(".".join(path))):
        register(settings, ledger, down, folder, uri, actor="ada")
    assert ledger.versions("churn") == ()


@pytest.mark.parametrize(
    ("path", "empty"),
    [
        ("run_id", ""),
        ("requested_by", ""),
        ("hardware", ""),
        ("contract_sha256", ""),
        ("metrics", {}),
        ("duration_seconds", 0.0),
        ("snapshot.sha256", ""),
        ("snapshot.uri", ""),
        ("snapshot.rows", 0),
        ("snapshot.end", datetime(2017, 1, 1, tzinfo=UTC)),
        ("snapshot.feature_service", ""),
        ("code.commit", ""),
        ("code.fingerprint", ""),
        ("code.lock_sha256", ""),
    ],
)
def test_empty_provenance_is_refused(folder: ModelFolder, path: str, empty: object) -> None:
    """A key that is there and says nothing is as good as missing."""
    record = training_record(folder, "run-1")
    block, _, key = path.rpartition(".")
    if block:
        inner = getattr(record, block).model_copy(update={key: empty})
        record = record.model_copy(update={block: inner})
    else:
        record = record.model_copy(update={key: empty})
    with pytest.raises(RegistryError, match=f"unknown: .*{re.escape(path)}"):
        check_candidate(folder.contract, record, evaluation_report())


def strict(contract: ModelContract) -> ModelContract:
    """Return a contract that refuses dirty trees."""
    training = contract.training.model_copy(update={"allow_dirty": False})
    return contract.model_copy(update={"training": training})


def test_dirty_tree_is_refused(folder: ModelFolder) -> None:
    """Uncommitted changes make no version, unless the contract allows it."""
    record = training_record(folder, "run-1", code=DIRTY)
    with pytest.raises(RegistryError, match="uncommitted changes on cccccccccccc"):
        check_candidate(strict(folder.contract), record, evaluation_report())
    check_candidate(folder.contract, record, evaluation_report())


def test_unknown_commit_is_refused(folder: ModelFolder) -> None:
    """Code that cannot be named makes no version."""
    record = training_record(folder, "run-1", code=DIRTY.model_copy(update={"commit": ""}))
    with pytest.raises(RegistryError, match=r"unknown: code\.commit"):
        check_candidate(folder.contract, record, evaluation_report())


def test_other_models_candidate_is_refused(folder: ModelFolder) -> None:
    """A candidate belongs to its own model."""
    record = training_record(folder, "run-1", model="spend")
    with pytest.raises(RegistryError, match="of 'spend', its report of 'churn'"):
        check_candidate(folder.contract, record, evaluation_report())


@pytest.mark.parametrize("name", ["model.onnx", "golden.json", "manifest.json"])
def test_altered_package_is_refused(
    settings: Settings,
    ledger: Ledger,
    down: Tracking,
    folder: ModelFolder,
    name: str,
) -> None:
    """One byte flipped in any file is found, and the file is named."""
    store = ArtefactStore(settings.artefacts_folder)
    version = register(settings, ledger, down, folder, write_candidate(store, folder, "run-1"), actor="ada")
    path = store.path(version.package_uri) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ArtefactError, match=f"{name} was altered"):
        load_manifest(store, version)
    path.unlink()
    with pytest.raises(ArtefactError, match=f"{name} is missing"):
        load_manifest(store, version)


def test_added_file_is_refused(
    settings: Settings, ledger: Ledger, down: Tracking, folder: ModelFolder, store: ArtefactStore
) -> None:
    """A package holds what its manifest names and nothing else."""
    version = register(settings, ledger, down, folder, write_candidate(store, folder, "run-1"), actor="ada")
    (store.path(version.package_uri) / "extra.py").touch()
    with pytest.raises(ArtefactError, match=r"extra\.py"):
        load_manifest(store, version)


def _die_before_mlflow(settings: Settings, folder: ModelFolder, uri: str) -> None:
    class Deadly(Tracking):
        def register(self, *_: object) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

    ledger = Ledger(settings.ledger_uri)
    register(settings, ledger, Deadly(settings), folder, uri, actor="ada")


def test_killed_between_ledger_and_mlflow(
    settings: Settings, ledger: Ledger, tracking: Tracking, folder: ModelFolder, store: ArtefactStore
) -> None:
    """Killed after the ledger and before MLflow: one version, and reconciling tells MLflow."""
    uri = write_candidate(store, folder, run_of(tracking), hyperparameters={"hidden": 99})
    process = multiprocessing.get_context("fork").Process(
        target=_die_before_mlflow, args=(settings, folder, uri)
    )
    process.start()
    process.join(30)
    assert -signal.SIGKILL == process.exitcode
    (version,) = ledger.versions("churn")
    assert (version,) == reconcile_registry(ledger, tracking, store, "churn").register
    assert ["1.0.0"] == list(tracking.versions("churn"))
    assert version == register(settings, ledger, tracking, folder, uri, actor="ada")
    assert ledger.verify() == 1
