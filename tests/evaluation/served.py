"""What evaluation is given from outside: a Triton's figures, a champion's package, and what it answered."""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import pandas as pd

from include.adapters.artefacts import ArtefactStore
from include.adapters.packages import package_uri, publish_package
from include.contracts.identifiers import uuid7
from include.contracts.model import ModelContract
from include.contracts.packages import Manifest, TrainingRecord, Version
from include.contracts.predictions import PredictionRow, Source, Status
from include.contracts.reports import EvaluationReport, TritonMeasurement
from include.evaluation.champion import Champion
from include.evaluation.evaluate import Candidate, open_candidate
from tests.synthetic import AS_OF

SERVED = TritonMeasurement(
    requests=300,
    latency_p50_ms=0.5,
    latency_p95_ms=0.8,
    latency_p99_ms=1.0,
    batch_rows=256,
    batches=30,
    rows_per_second=100_000.0,
    largest_difference=0.0,
)
"""A Triton that is fast and right."""


def register_champion(
    source: ArtefactStore,
    uri: str,
    store: ArtefactStore,
    *,
    number: str = "1.0.0",
    report: EvaluationReport | None = None,
) -> Version:
    """Package a candidate into a store, as registration does, and return the version."""
    files = {name: source.read(f"{uri}/{name}") for name in ("model.onnx", "golden.json")}
    if report:
        files["evaluation.json"] = report.model_dump_json().encode()
    record = TrainingRecord.model_validate_json(source.read(f"{uri}/training.json"))
    hashes = {name: sha256(content).hexdigest() for name, content in files.items()}
    digest = publish_package(store, Manifest(**record.model_dump(), files=hashes), files)
    return Version(
        model=record.model,
        version=number,
        artefact_sha256=digest,
        package_uri=package_uri(record.model, digest),
        run_id=record.run_id,
        requested_by="system",
        registered_at=AS_OF,
    )


def opened_candidate(store: ArtefactStore, contract: ModelContract, uri: str) -> Candidate:
    """Open a candidate by the record beside it."""
    record = TrainingRecord.model_validate_json(store.read(f"{uri}/training.json"))
    return open_candidate(store, contract, uri, record)


def answers(champion: Champion, rows: pd.DataFrame, until: datetime, **changes: Any) -> list[PredictionRow]:
    """Return logged answers of a champion to rows of features, one an hour back from a moment."""
    scores = champion.model.predict(rows)
    return [
        PredictionRow(
            **{
                "prediction_id": uuid7(until - timedelta(hours=place + 1)),
                "request_id": None,
                "body_sha256": "0" * 64,
                "model": "churn",
                "entity": {"customer_id": place},
                "unit": str(place),
                "assigned_variant": "champion",
                "served_version": champion.version.version,
                "artefact_sha256": champion.version.artefact_sha256,
                "route_snapshot_id": "1-a",
                "release_or_experiment_id": None,
                "bucket": None,
                "share": None,
                "predicted_at": until - timedelta(hours=place + 1),
                "recorded_at": until,
                "features": {
                    item.name: _logged(rows.iloc[place][item.name]) for item in champion.signature.inputs
                },
                "feature_timestamps": {},
                "request_features": {},
                "outputs": tuple(map(float, scores[place])),
                "status": Status.OK,
                "fallback_reason": None,
                "source": Source.LIVE,
                "latency_seconds": 0.001,
                "key_id": None,
            }
            | changes
        )
        for place in range(len(rows))
    ]


def _logged(value: Any) -> Any:
    """Return a cell as the log holds it."""
    return None if value is None or value != value else (value if isinstance(value, str) else float(value))  # noqa: PLR0124
