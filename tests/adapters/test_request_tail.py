"""What the log's tail tells of requests, and how little of the log is read for it."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.adapters.prediction_log import PredictionLog
from include.adapters.request_tail import request_tail
from include.adapters.segments import segments
from include.contracts.identifiers import uuid7
from include.contracts.predictions import PredictionRow, Source, Status

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
WINDOW = timedelta(minutes=10)


def row(request_id: str | None, age_seconds: float = 0.0, **changes: object) -> PredictionRow:
    """A row recorded so long ago."""
    fields = {
        "prediction_id": uuid7(NOW),
        "request_id": request_id,
        "body_sha256": "body",
        "model": "churn",
        "entity": {"customer_id": 1},
        "unit": "1",
        "assigned_variant": "champion",
        "served_version": "1.0.0",
        "artefact_sha256": "artefact",
        "route_snapshot_id": "1-abc",
        "release_or_experiment_id": None,
        "bucket": None,
        "share": None,
        "predicted_at": NOW,
        "recorded_at": NOW - timedelta(seconds=age_seconds),
        "features": {"spend": 1.0},
        "feature_timestamps": {},
        "request_features": {},
        "outputs": (0.5,),
        "status": Status.OK,
        "fallback_reason": None,
        "source": Source.LIVE,
        "latency_seconds": 0.001,
        "key_id": "key",
    }
    return PredictionRow(**{**fields, **changes})


def write(folder: Path, *rows: PredictionRow) -> None:
    """Write rows into a segment of their own."""
    log = PredictionLog(folder, 2**20)
    log.append(rows)
    log.close()


def tail(folder: Path, **bounds: object) -> list[str]:
    """Return the ids of the requests in the tail."""
    limits = {"most": 100, "seconds": 60.0, **bounds}
    return [answer.request_id for answer in request_tail(folder, NOW - WINDOW, **limits)]


def test_the_newest_requests_come_first(tmp_path):
    """Segments by when they were written last, rows backwards; only those of callers who named them."""
    write(tmp_path, row("a", 30), row(None, 20), row("b", 10))
    write(
        tmp_path, row("c", 5), row("d", 4, source=Source.SHADOW), row("e", 3, source=Source.OIP), row("f", 1)
    )
    older, newer = sorted(segments(tmp_path))
    os.utime(newer, (NOW.timestamp(), NOW.timestamp()))
    os.utime(older, (NOW.timestamp() - 5, NOW.timestamp() - 5))

    assert ["f", "c", "b", "a"] == tail(tmp_path)
    assert ["f", "c", "b"] == tail(tmp_path, most=3)
    assert [] == tail(tmp_path, seconds=-1.0)


def test_what_is_older_than_the_window_is_not_read(tmp_path):
    """Rows of before end a segment; a segment not written since is not opened, whatever is in it."""
    write(tmp_path, row("a", 601), row("b", 600), row("c", 1))
    assert ["c", "b"] == tail(tmp_path)
    (segment,) = segments(tmp_path)
    segment.write_bytes(b"not a segment at all")
    os.utime(segment, (NOW.timestamp() - 601, NOW.timestamp() - 601))
    assert [] == tail(tmp_path)


def test_a_damaged_segment_gives_what_lies_before_the_damage(tmp_path, caplog):
    """The others are read; a line in the log says which."""
    write(tmp_path, row("a"))
    write(tmp_path, row("b"), row("c"))
    damaged = next(path for path in segments(tmp_path) if path.stat().st_size > 700)
    content = bytearray(damaged.read_bytes())
    content[-10] ^= 1
    damaged.write_bytes(content)

    assert {"a", "b"} == set(tail(tmp_path))
    assert [True] == [damaged.name in str(record.fields) for record in caplog.records]


@pytest.mark.parametrize("missing", ["day", "folder"])
def test_no_log_is_no_requests(tmp_path, missing):
    """A gateway that starts for the first time remembers nothing."""
    assert [] == tail(tmp_path if missing == "day" else tmp_path / "predictions")
