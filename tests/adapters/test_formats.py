"""What an earlier version of the platform wrote is read by this one; the files here are never written anew.

Segments of the first format come from the code before the second (commit 10739af), the others from the code
that introduced them.
"""

import struct
from datetime import UTC, date, datetime
from pathlib import Path
from zlib import crc32

import pytest

from include.adapters.first_segments import HEADER
from include.adapters.prediction_log import read
from include.adapters.prediction_parquet import read as read_compacted
from include.adapters.segments import FORMAT_VERSION, day_folder, read_payloads
from include.contracts.errors import DataError
from include.contracts.packages import Manifest
from include.contracts.predictions import PredictionRow, Source, Status

GOLDEN = Path(__file__).parents[1] / "golden"
MOMENT = datetime(2017, 11, 1, 9, 30, 0, 123456, tzinfo=UTC)
FORMATS = range(1, FORMAT_VERSION + 1)


def row(number: int, **changes: object) -> PredictionRow:
    """A row as it stands in the golden files."""
    values = {
        "prediction_id": f"015f7685-4b00-7000-8000-00000000000{number}",
        "request_id": None,
        "body_sha256": "0" * 64,
        "model": "churn",
        "entity": {"customer_id": number},
        "unit": str(number),
        "assigned_variant": "champion",
        "served_version": "1.0.0",
        "artefact_sha256": "1" * 64,
        "route_snapshot_id": "1-abc",
        "release_or_experiment_id": None,
        "bucket": 0.25,
        "share": 0.5,
        "predicted_at": MOMENT,
        "recorded_at": MOMENT,
        "features": {"spend": 1.5, "category": "é", "orders": None},
        "feature_timestamps": {"v": MOMENT, "w": None},
        "request_features": {},
        "outputs": (0.25,),
        "status": Status.OK,
        "fallback_reason": None,
        "source": Source.LIVE,
        "latency_seconds": 0.001,
        "key_id": "key",
    }
    return PredictionRow(**(values | changes))


ROWS = [row(1), row(2, request_id="r-2", outputs=None, status=list(Status)[1], error="no")]


def test_every_format_has_its_golden_file():
    """Whoever changes a format adds a file of it, and leaves the old ones alone."""
    names = {path.name for path in GOLDEN.iterdir()}
    assert {f"segment-{number}.log" for number in FORMATS} <= names


@pytest.mark.parametrize("number", FORMATS)
def test_segments_of_every_format_are_read(tmp_path, number):
    """Each row as it was written."""
    folder = day_folder(tmp_path, date(2017, 11, 1))
    folder.mkdir()
    (folder / "20171101T093000.000000Z-1-0.log").write_bytes((GOLDEN / f"segment-{number}.log").read_bytes())
    assert ROWS == list(read(tmp_path))


def test_a_compacted_file_of_old_is_read():
    """Each row as it was written."""
    with (GOLDEN / "compacted-1.parquet").open("rb") as file:
        assert ROWS == list(read_compacted(file))


def test_a_manifest_of_old_is_read():
    """With the fields it has; those that came later have their defaults."""
    manifest = Manifest.model_validate_json((GOLDEN / "manifest-1.json").read_bytes())
    assert ("churn", 1, {"golden.json"}) == (manifest.model, manifest.schema_version, manifest.files.keys())


def framed(payload: bytes) -> bytes:
    """Return a record of the first format."""
    return struct.pack("<II", len(payload), crc32(payload)) + payload


@pytest.mark.parametrize("tail", [b"", b"\x05", framed(b"three")[:-1], framed(b"three")[:-1] + b"x"])
def test_a_torn_tail_of_the_first_format_is_skipped(tmp_path, tail):
    """What a killed writer left behind is no damage."""
    path = tmp_path / "x.log"
    path.write_bytes(HEADER + framed(b"one") + framed(b"two") + tail)
    assert [b"one", b"two"] == list(read_payloads(path))


def test_damage_in_the_first_format_is_told(tmp_path):
    """A broken record with others after it."""
    path = tmp_path / "x.log"
    path.write_bytes(HEADER + framed(b"one")[:-1] + b"x" + framed(b"two"))
    with pytest.raises(DataError, match="byte 12 is damaged"):
        list(read_payloads(path))
