"""Publishing a batch's scores as Parquet, from the prediction log: the two can only agree."""

from collections.abc import Iterator
from datetime import UTC, timedelta
from itertools import islice
from pathlib import Path

import pyarrow
import pyarrow.parquet

from include.adapters.files import replacing
from include.adapters.prediction_log import read
from include.config.settings import Settings
from include.contracts.errors import DataError
from include.contracts.predictions import PredictionRow
from include.contracts.routes import EntityType
from include.contracts.scoring import ScoringPlan
from include.contracts.signatures import Task

_KEY_TYPES = {EntityType.INT64: pyarrow.int64(), EntityType.STRING: pyarrow.string()}
_MOMENT = pyarrow.timestamp("us", "UTC")


def publish_scores(settings: Settings, plan: ScoringPlan) -> Path:
    """Write what the log holds of a batch to its file, in one step; return the file.

    Columns: entity, unit, `score` (or `scores`, a map by class, of a multiclass model), model, version,
    prediction_id, predicted_at, features_as_of, fallback, status, error. `version` is null where it did not
    answer, the score is null where nothing did. Memory is bounded by `settings.scoring_chunk_rows` rows.

    Raises:
        DataError: the log holds nothing of the batch, or a segment of its day is damaged.
    """
    path = scores_path(settings, plan)
    rows = _logged(settings, plan)
    written = 0
    with replacing(path) as temporary, pyarrow.parquet.ParquetWriter(temporary, _schema(plan)) as writer:
        while chunk := list(islice(rows, settings.scoring_chunk_rows)):
            records = [_record(plan, row) for row in chunk]
            writer.write_table(pyarrow.Table.from_pylist(records, _schema(plan)))
            written += len(chunk)
        if written == 0:
            raise DataError(f"the prediction log holds nothing of {plan.batch_id}: score it first")
    return path


def scores_path(settings: Settings, plan: ScoringPlan) -> Path:
    """Return where a batch's scores lie: a folder a model and moment, a file a version."""
    moment = plan.as_of.astimezone(UTC).strftime("%Y-%m-%dT%H%M%SZ")
    return settings.scores_folder / plan.model / moment / f"{plan.version}.parquet"


def _logged(settings: Settings, plan: ScoringPlan) -> Iterator[PredictionRow]:
    rows = read(settings.predictions_folder, plan.as_of, plan.as_of + timedelta(microseconds=1))
    return (row for row in rows if row.request_id == plan.batch_id)


def _schema(plan: ScoringPlan) -> pyarrow.Schema:
    score = (
        ("scores", pyarrow.map_(pyarrow.string(), pyarrow.float64()))
        if plan.signature.task is Task.MULTICLASS
        else ("score", pyarrow.float64())
    )
    text = pyarrow.string()
    return pyarrow.schema(
        [
            ("entity", _KEY_TYPES[plan.entity.type]),
            ("unit", text),
            score,
            ("model", text),
            ("version", text),
            ("prediction_id", text),
            ("predicted_at", _MOMENT),
            ("features_as_of", _MOMENT),
            ("fallback", text),
            ("status", text),
            ("error", text),
        ]
    )


def _record(plan: ScoringPlan, row: PredictionRow) -> dict[str, object]:
    stamps = [stamp for stamp in row.feature_timestamps.values() if stamp is not None]
    return {
        "entity": row.entity[plan.entity.name],
        "unit": row.unit,
        **_score(plan, row.outputs),
        "model": row.model,
        "version": row.served_version,
        "prediction_id": row.prediction_id,
        "predicted_at": row.predicted_at,
        "features_as_of": min(stamps, default=None),
        "fallback": row.fallback_reason.value if row.fallback_reason else None,
        "status": row.status.value,
        "error": row.error,
    }


def _score(plan: ScoringPlan, outputs: tuple[float, ...] | None) -> dict[str, object]:
    if plan.signature.task is Task.MULTICLASS:
        classes = plan.signature.classes
        return {"scores": None if outputs is None else list(zip(classes, outputs, strict=True))}
    return {"score": None if outputs is None else outputs[0]}
