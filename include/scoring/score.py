"""Scoring a batch into the prediction log, each entity once however often it is run."""

import fcntl
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from time import monotonic

import pyarrow.parquet

from include.adapters.artefact_home import artefact_store
from include.adapters.artefacts import ArtefactStore
from include.adapters.files import sha256_of
from include.adapters.ledger.ledger import Ledger
from include.adapters.packages import load_manifest
from include.adapters.prediction_log import PredictionLog, ids_of_request, recover
from include.config.models import model_folder
from include.config.settings import Settings
from include.config.transforms import load_transform
from include.contracts.errors import ArtefactError, RegistryError
from include.contracts.packages import MODEL_NAME
from include.contracts.predictions import PredictionRow, Status
from include.contracts.scoring import BatchReport, ScoringPlan, ScoringSet
from include.scoring.attempts import Row, Scorer, prediction_row

_log = logging.getLogger(__name__)


def score_batch(
    settings: Settings,
    ledger: Ledger,
    plan: ScoringPlan,
    scoring_set: ScoringSet,
    clock: Callable[[], datetime],
) -> BatchReport:
    """Score a scoring set with the planned version, in process, and append a row for each of its entities.

    Rows are appended in chunks of `settings.scoring_chunk_rows` entities, in segments of this process's own
    beside the gateway's. Entities the batch has a row of are left out: what was logged stands, and a run
    that was killed is completed by the next. Two runs of one model wait for each other.

    Args:
        settings: says where things lie.
        ledger: knows the version.
        plan: the batch.
        scoring_set: its entities' features.
        clock: wall time, aware UTC.

    Raises:
        RegistryError: the version is unknown.
        ArtefactError: the package or the scoring set was altered.
        ContractError: a request-time transform is not the one the version was trained with.
        DataError: a segment of the log's day is damaged.
        LogWriteError: rows could not be appended.
    """
    path = _checked(artefact_store(settings), scoring_set)
    scorer = _scorer(settings, ledger, plan)
    counts: Counter[Status] = Counter()
    known = 0
    with _alone(settings, plan.model), pyarrow.parquet.ParquetFile(path) as file:
        sealed = recover(settings.predictions_folder)
        if sealed.segments:
            _log.info("segments of killed writers: %s", sealed)
        done = ids_of_request(settings.predictions_folder, plan.batch_id, plan.as_of)
        log = PredictionLog(settings.predictions_folder, settings.segment_bytes, settings.log_durability)
        try:
            for chunk in file.iter_batches(settings.scoring_chunk_rows):
                rows = chunk.to_pylist()
                new = [row for row in rows if _id(plan, row) not in done]
                known += len(rows) - len(new)
                logged = _scored(plan, scorer, new, scoring_set.sha256, clock)
                log.append(logged)
                counts.update(row.status for row in logged)
                _log.info("%d of %d entities", known + counts.total(), scoring_set.rows)
        finally:
            log.close()
    return BatchReport(logged=dict(counts), known=known)


def _checked(store: ArtefactStore, scoring_set: ScoringSet) -> Path:
    path = store.path(scoring_set.uri)
    if not path.is_file() or sha256_of(path) != scoring_set.sha256:
        raise ArtefactError(f"scoring set {scoring_set.uri} is gone or was altered: freeze it again")
    return path


def _scorer(settings: Settings, ledger: Ledger, plan: ScoringPlan) -> Scorer:
    version = ledger.version(plan.model, plan.version)
    if version is None:
        raise RegistryError(f"{plan.model} {plan.version} is not registered")
    store = artefact_store(settings)
    load_manifest(store, version)
    folder = model_folder(settings.model_folders, plan.model).path
    graph = store.path(version.package_uri) / MODEL_NAME
    return Scorer(plan, graph, partial(load_transform, model_folder=folder))


@contextmanager
def _alone(settings: Settings, model: str) -> Iterator[None]:
    """Wait until no other process scores the model."""
    folder = settings.scores_folder / model
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "scoring.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _scored(
    plan: ScoringPlan, scorer: Scorer, chunk: Sequence[Row], body_sha256: str, clock: Callable[[], datetime]
) -> list[PredictionRow]:
    started = monotonic()
    attempts = scorer.score(chunk)
    seconds, recorded_at = monotonic() - started, clock()
    return [
        prediction_row(plan, attempt, body_sha256=body_sha256, recorded_at=recorded_at, seconds=seconds)
        for attempt in attempts
    ]


def _id(plan: ScoringPlan, row: Row) -> str:
    return plan.prediction_id(plan.entity.canonical(row[plan.entity.name]))
