"""Training stage: a frozen snapshot in, a candidate folder out, an MLflow run beside it."""

import logging
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from pydantic import BaseModel

from include.adapters.artefact_home import artefact_store
from include.adapters.artefacts import ArtefactStore
from include.adapters.files import write_atomically
from include.adapters.onnx_model import OnnxModel, feature_arrays
from include.adapters.snapshots import LABEL, read_snapshot
from include.adapters.tracking import Tracking
from include.config.code import code_state
from include.config.models import ModelFolder
from include.config.settings import Settings
from include.contracts.errors import ContractError
from include.contracts.model import ModelContract, Training
from include.contracts.networks import NetworkSignature
from include.contracts.packages import (
    GOLDEN_NAME,
    MODEL_NAME,
    PARITY_METRIC,
    TRAINING_NAME,
    CodeState,
    Snapshot,
    TrainingRecord,
)
from include.contracts.signatures import Signature, Task
from include.contracts.windows import training_windows
from include.stats.metrics import compute_metrics
from include.training.calibration import calibrated_head
from include.training.export import export, parity
from include.training.golden import golden_set
from include.training.leakage import check_leaks
from include.training.loop import Examples, LoopSettings, Progress, fit, reproducible
from include.training.network import load_network
from include.training.pipeline import Head, Pipeline, apply
from include.training.preprocessing import Vocabulary, fit_preprocessing, fit_vocabulary
from include.training.split import Split, split

log = logging.getLogger(__name__)

CANDIDATES = "candidates"

Array = npt.NDArray[np.float64]


class RunTracker(Protocol):
    """What training needs of experiment tracking; `adapters.tracking.Tracking` is one."""

    def start_run(self, model: str, name: str, tags: Mapping[str, str]) -> str:
        """Open a run and return its id."""

    def log_parameters(self, run_id: str, parameters: Mapping[str, object]) -> None:
        """Record what the run was given."""

    def log_metrics(self, run_id: str, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Record figures, at a step or for the whole run."""

    def log_folder(self, run_id: str, folder: Path, path: str) -> None:
        """Record files."""

    def end_run(self, run_id: str, failed: bool = False) -> None:
        """Close the run."""


@dataclass(frozen=True)
class Request:
    """What a training run is given besides the model folder."""

    snapshot: Snapshot
    code: CodeState
    requested_by: str
    trained_at: datetime
    hyperparameters: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    """Replace the contract's, one by one."""
    seed: int | None = None
    """Replaces the contract's."""


@dataclass(frozen=True)
class Trained:
    """A fitted pipeline with what else its graph and record need."""

    pipeline: Pipeline
    vocabulary: Vocabulary
    metrics: dict[str, float]


def train(
    settings: Settings,
    folder: ModelFolder,
    snapshot: Snapshot,
    requested_by: str,
    trained_at: datetime,
    *,
    hyperparameters: Mapping[str, float | int | str | bool] | None = None,
    seed: int | None = None,
) -> str:
    """Train a candidate and return its URI in the artefact store.

    Args:
        settings: where the artefact store and MLflow are.
        folder: the model's folder.
        snapshot: the frozen training set.
        requested_by: all who asked for it, joined; travels to version and release.
        trained_at: wall time recorded with it.
        hyperparameters: replace the contract's, one by one, for this run.
        seed: replaces the contract's for this run.

    Raises:
        ContractError: the contract or network.py cannot be used.
        DataError: the snapshot cannot teach or judge a model.
        ArtefactError: the snapshot is missing or altered.
        PlatformError: the commit is unknown, or MLflow cannot be reached.
    """
    return train_candidate(
        artefact_store(settings),
        Tracking(settings),
        folder,
        Request(
            snapshot, code_state(settings, folder), requested_by, trained_at, hyperparameters or {}, seed
        ),
    )


def train_candidate(store: ArtefactStore, tracker: RunTracker, folder: ModelFolder, request: Request) -> str:
    """Do what `train` does, with its collaborators given."""
    started = time.perf_counter()
    contract, snapshot = folder.contract, request.snapshot
    training = training_of(contract, request)
    rows = _rows(store, contract, snapshot)
    with _run(tracker, contract, request, training) as run_id, TemporaryDirectory() as temporary:
        candidate = Path(temporary)
        trained = fit_pipeline(
            folder, rows, lambda epoch, losses: tracker.log_metrics(run_id, losses, step=epoch), training
        )
        metrics = trained.metrics | _write_model(candidate, trained, rows, contract.signature)
        seconds = time.perf_counter() - started
        _write_json(
            candidate / TRAINING_NAME,
            _record(contract, request, training, run_id=run_id, metrics=metrics, seconds=seconds),
        )
        tracker.log_metrics(run_id, {**metrics, "duration_seconds": seconds})
        tracker.log_folder(run_id, candidate, "candidate")
        store.publish(candidate, f"{CANDIDATES}/{run_id}")
    return f"{CANDIDATES}/{run_id}"


def _rows(store: ArtefactStore, contract: ModelContract, snapshot: Snapshot) -> Split:
    windows = training_windows(contract.training, contract.label, snapshot.as_of)
    rows = split(read_snapshot(store, snapshot), windows, contract)
    check_leaks(contract, rows.train)
    log.info(
        "%s as of %s: training on %d rows (%s), validating on %d (%s)",
        contract.name,
        snapshot.as_of.isoformat(),
        len(rows.train),
        windows.train,
        len(rows.validation),
        windows.validation,
    )
    return rows


def training_of(contract: ModelContract, request: Request) -> Training:
    """Return how a run is to be trained: as the contract says, but for what the request replaces.

    Raises:
        ContractError: the request names a hyperparameter that nobody reads.
    """
    training = contract.training
    known = {*training.hyperparameters, *LoopSettings.model_fields}
    unknown = sorted(set(request.hyperparameters) - known)
    if unknown:
        raise ContractError(
            f"{contract.name} has no hyperparameter {', '.join(unknown)}; "
            f"there are: {', '.join(sorted(known))}"
        )
    return training.model_copy(
        update={
            "hyperparameters": {**training.hyperparameters, **request.hyperparameters},
            "seed": training.seed if request.seed is None else request.seed,
        }
    )


def _record(
    contract: ModelContract,
    request: Request,
    training: Training,
    *,
    run_id: str,
    metrics: dict[str, float],
    seconds: float,
) -> TrainingRecord:
    return TrainingRecord(
        model=contract.name,
        signature=contract.signature,
        snapshot=request.snapshot,
        code=request.code,
        contract_sha256=contract.sha256,
        judgement_sha256=contract.judgement_sha256,
        hyperparameters=training.hyperparameters,
        seed=training.seed,
        resources=contract.resources,
        metrics=metrics,
        requested_by=request.requested_by,
        run_id=run_id,
        trained_at=request.trained_at,
        duration_seconds=seconds,
        hardware=_hardware(),
    )


def fit_pipeline(
    folder: ModelFolder, rows: Split, progress: Progress, training: Training | None = None
) -> Trained:
    """Fit preprocessing and network on the training window; validation stops and calibrates them.

    Same rows, code and seed give the same pipeline.

    Raises:
        ContractError: network.py or a hyperparameter cannot be used.
        DataError: the loss is not finite.
    """
    contract = folder.contract
    training = training or contract.training
    numeric, categorical = feature_arrays(rows.train, contract.signature)
    vocabulary = fit_vocabulary(categorical)
    head = _raw_head(contract.task, _labels(rows.train))
    with reproducible(training.seed):
        network = load_network(
            folder,
            NetworkSignature(numeric.shape[1], vocabulary.sizes, contract.signature.outputs),
            training.hyperparameters,
        )
        pipeline = Pipeline(fit_preprocessing(numeric), network, head)
        validation = _examples(rows.validation, contract.signature, vocabulary, head)
        fitted = fit(
            pipeline,
            contract.task,
            train=_examples(rows.train, contract.signature, vocabulary, head),
            validation=validation,
            settings=LoopSettings.of(training.hyperparameters),
            progress=progress,
        )
        if contract.task is not Task.REGRESSION:
            logits = pipeline.logits(torch.from_numpy(validation.numeric), torch.from_numpy(validation.codes))
            pipeline.head = calibrated_head(
                contract.task, logits.detach().numpy().astype(np.float64), validation.targets
            )
        scores = apply(pipeline, validation.numeric, validation.codes).astype(np.float64)
    judged = compute_metrics(contract.task, _labels(rows.validation), scores)
    return Trained(
        pipeline,
        vocabulary,
        {**asdict(fitted), **{f"validation_{name}": value for name, value in judged.items()}},
    )


def _raw_head(task: Task, labels: Array) -> Head:
    """Return the head to train with: it standardises a regression's target, and leaves logits alone."""
    if task is Task.REGRESSION:
        return Head(task, scale=float(labels.std()) or 1.0, shift=float(labels.mean()))
    return Head(task)


def _examples(rows: pd.DataFrame, signature: Signature, vocabulary: Vocabulary, head: Head) -> Examples:
    numeric, categorical = feature_arrays(rows, signature)
    targets = (_labels(rows) - float(head.shift)) / float(head.scale)
    return Examples(numeric, vocabulary.encode(categorical), targets)


def _labels(rows: pd.DataFrame) -> Array:
    return rows[LABEL].to_numpy(np.float64)


def _write_model(candidate: Path, trained: Trained, rows: Split, signature: Signature) -> dict[str, float]:
    """Write graph and golden predictions; return how far the graph is from the network."""
    export(trained.pipeline, trained.vocabulary, signature, candidate / MODEL_NAME)
    model = OnnxModel(candidate / MODEL_NAME, signature)
    _write_json(candidate / GOLDEN_NAME, golden_set(model, rows.test, signature))
    arrays = feature_arrays(rows.validation, signature)
    return {PARITY_METRIC: parity(model, trained.pipeline, trained.vocabulary, *arrays)}


def _write_json(path: Path, content: BaseModel) -> None:
    write_atomically(path, content.model_dump_json(indent=2).encode())


@contextmanager
def _run(tracker: RunTracker, contract: ModelContract, request: Request, training: Training) -> Iterator[str]:
    """Open a run that says what it was given; whatever ends it early marks it failed."""
    code, snapshot = request.code, request.snapshot
    evidence = {
        "requested_by": request.requested_by,
        "commit": code.commit,
        "dirty": str(code.dirty).lower(),
        "code_fingerprint": code.fingerprint,
        "lock_sha256": code.lock_sha256,
        "contract_sha256": contract.sha256,
        "snapshot_sha256": snapshot.sha256,
        "snapshot_uri": snapshot.uri,
        "feature_service": snapshot.feature_service,
        "as_of": snapshot.as_of.isoformat(),
    }
    run_id = tracker.start_run(contract.name, f"{contract.name} {snapshot.as_of.date()}", evidence)
    try:
        tracker.log_parameters(
            run_id,
            {
                **training.hyperparameters,
                "seed": training.seed,
                "snapshot_rows": snapshot.rows,
                "snapshot_start": snapshot.start.isoformat(),
                "snapshot_end": snapshot.end.isoformat(),
                "hardware": _hardware(),
            },
        )
        yield run_id
    except BaseException:
        tracker.end_run(run_id, failed=True)
        raise
    tracker.end_run(run_id)


def _hardware() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, torch {torch.__version__}"
