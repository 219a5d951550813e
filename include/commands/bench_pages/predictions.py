"""A day of logged predictions, made up, one of which pages are asked to trace."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from include.adapters.ledger.ledger import Ledger
from include.adapters.prediction_log import PredictionLog
from include.config.settings import Settings
from include.contracts.errors import LedgerError
from include.contracts.identifiers import uuid7
from include.contracts.predictions import PredictionRow, Source, Status
from include.monitoring.compaction import compact_predictions

_BATCH = 500


def log_day(settings: Settings, model: str, day: datetime, rows: int) -> str:
    """Log a day's predictions of what serves a model, compact them, and return one's id.

    Raises:
        LedgerError: nothing serves the model.
    """
    ledger = Ledger(settings.ledger_uri)
    version, snapshot = ledger.champion(model), ledger.snapshot_id()
    if version is None or snapshot is None:
        raise LedgerError(f"nothing serves {model}")
    answered = [
        _row(model, version.version, version.artefact_sha256, snapshot, moment)
        for moment in _moments(day, rows)
    ]
    log = PredictionLog(settings.predictions_folder, settings.segment_bytes)
    for start in range(0, rows, _BATCH):
        log.append(answered[start : start + _BATCH])
    log.close()
    compact_predictions(settings, datetime.now(UTC) + timedelta(days=1))
    return answered[rows // 2].prediction_id


def _moments(day: datetime, rows: int) -> Iterator[datetime]:
    return (day + timedelta(days=1) * number / rows for number in range(rows))


def _row(model: str, version: str, artefact_sha256: str, snapshot: str, moment: datetime) -> PredictionRow:
    return PredictionRow(
        prediction_id=uuid7(moment),
        request_id=None,
        body_sha256="0" * 64,
        model=model,
        entity={"customer_id": 1},
        unit="1",
        assigned_variant=None,
        served_version=version,
        artefact_sha256=artefact_sha256,
        route_snapshot_id=snapshot,
        release_or_experiment_id=None,
        bucket=None,
        share=None,
        predicted_at=moment,
        recorded_at=datetime.now(UTC),
        features={f"feature_{number:02}": number / 7 for number in range(20)},
        feature_timestamps={"customer_basket": moment},
        request_features={},
        outputs=(0.25,),
        status=Status.OK,
        fallback_reason=None,
        source=Source.LIVE,
        latency_seconds=0.004,
        key_id="key",
    )
