import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.adapters.prediction_log import PredictionLog, find, find_all, latest, read, recover
from include.adapters.segments import segments
from include.contracts.errors import DataError, LogWriteError
from include.contracts.identifiers import uuid7
from include.contracts.predictions import PredictionRow, Source, Status

MOMENT = datetime(2017, 11, 1, 23, 59, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


def row(predicted_at: datetime = MOMENT, **changes: object) -> PredictionRow:
    """A row of an answered prediction."""
    values = {
        "prediction_id": uuid7(predicted_at),
        "request_id": None,
        "body_sha256": "0" * 64,
        "model": "churn",
        "entity": {"customer_id": 1},
        "unit": "1",
        "assigned_variant": "champion",
        "served_version": "1.0.0",
        "artefact_sha256": "1" * 64,
        "route_snapshot_id": "1-abc",
        "release_or_experiment_id": None,
        "bucket": 0.25,
        "share": 0.5,
        "predicted_at": predicted_at,
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


def logged(folder: Path, rows: list[PredictionRow]) -> Path:
    """Write rows with a writer of their own; return the first segment."""
    log = PredictionLog(folder, 2**20)
    log.append(rows)
    log.close()
    return segments(folder)[0]


def left_open(folder: Path, rows: list[PredictionRow]) -> Path:
    """Write rows and leave their segment as a killed writer does: unlocked and not sealed."""
    path = logged(folder, rows)
    path.with_suffix(".open").touch()
    return path


def test_rows_come_back_as_they_were(tmp_path):
    """Every field survives the log, missing values too."""
    rows = [row(), row(status=Status.FAILED, outputs=None, error="why")]
    logged(tmp_path, rows)

    assert rows == list(read(tmp_path))


def test_rows_lie_in_the_folder_of_their_event_day(tmp_path):
    """Partitions follow `predicted_at` in UTC, and reading a window opens only its days."""
    late, early = row(MOMENT + timedelta(minutes=1)), row(MOMENT - timedelta(days=3))
    logged(tmp_path, [late, row(), early])
    (tmp_path / "day=2017-10-29" / "broken.log").write_bytes(b"not a segment at all")

    assert ["day=2017-10-29", "day=2017-11-01", "day=2017-11-02"] == sorted(
        path.name for path in tmp_path.iterdir()
    )
    assert [late] == list(read(tmp_path, MOMENT + timedelta(minutes=1), MOMENT + timedelta(days=1)))
    assert late == find(tmp_path, late.prediction_id)


def test_an_id_that_is_not_there_is_not_found(tmp_path):
    """Looking up an unknown id gives None; a text that is no id is refused."""
    logged(tmp_path, [row()])

    assert find(tmp_path, uuid7(MOMENT)) is None
    with pytest.raises(ValueError, match="not a UUID"):
        find(tmp_path, "nonsense")


def test_many_ids_are_found_day_by_day(tmp_path):
    """Ids of several days at once; a damaged segment matters only to what is not found elsewhere."""
    rows = [row(), row(), row(MOMENT + timedelta(days=1))]
    logged(tmp_path, rows)
    (tmp_path / "day=2017-11-01" / "0-damaged.log").write_bytes(b"not a segment at all")

    assert {item.prediction_id: item for item in rows} == find_all(
        tmp_path, [item.prediction_id for item in rows]
    )
    with pytest.raises(DataError, match="0-damaged"):
        find_all(tmp_path, [rows[0].prediction_id, uuid7(MOMENT)])


def test_segments_roll_at_their_size(tmp_path):
    """A full segment is closed and another one started; order is kept within each."""
    log = PredictionLog(tmp_path, 1_000)
    rows = [row() for _ in range(10)]
    for item in rows:
        log.append([item])
    log.close()

    assert len(segments(tmp_path)) > 1
    assert sorted(item.prediction_id for item in rows) == sorted(i.prediction_id for i in read(tmp_path))


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_a_segment_cut_anywhere_keeps_its_whole_records(data, tmp_path_factory):
    """Whatever byte a killed writer stopped at: whole rows are read, the tail is cut and counted."""
    folder = tmp_path_factory.mktemp("log")
    rows = [row(), row(unit="2"), row(unit="3")]
    sizes = [PredictionLog(folder, 2**20).append([item]) for item in rows]
    for path in segments(folder):
        path.unlink()
    path = left_open(folder, rows)
    whole = path.stat().st_size
    cut = data.draw(st.integers(0, whole - 1))
    os.truncate(path, cut)
    header = whole - sum(sizes)
    kept = sum(header + sum(sizes[: count + 1]) <= cut for count in range(3))

    assert rows[:kept] == list(read(folder))
    recovery = recover(folder)
    left = header + sum(sizes[:kept]) if cut >= header else 0
    assert (1 if cut > left else 0, cut - left) == (recovery.torn_tails, recovery.bytes_removed)
    assert left == path.stat().st_size
    assert (cut > left) == path.with_suffix(".torn").exists()
    assert rows[:kept] == list(read(folder))


@pytest.mark.parametrize("tail", [b"\0" * 64, b"\xff" * 64, b"\x05\0\0\0\0\0\0\0wrong"])
def test_a_tail_of_garbage_is_no_row(tmp_path, tail):
    """Zeros, noise and a wrong checksum are set aside."""
    path = left_open(tmp_path, [row()])
    with path.open("ab") as file:
        file.write(tail)

    assert 1 == len(list(read(tmp_path)))
    assert len(tail) == recover(tmp_path).bytes_removed
    assert tail == path.with_suffix(".torn").read_bytes()


def test_damage_before_the_tail_is_reported_and_never_cut(tmp_path):
    """A flipped bit in an acknowledged row names file and byte, once; recovery leaves the file alone."""
    path = left_open(tmp_path, [row(), row()])
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)

    with pytest.raises(DataError, match=f"{path.name}: the record at byte 12 is damaged"):
        list(read(tmp_path))
    [damage] = recover(tmp_path).damaged
    assert f"{path.name}: the record at byte 12 is damaged" in damage
    assert () == recover(tmp_path).damaged
    assert bytes(content) == path.read_bytes()
    with pytest.raises(DataError, match="damaged"):
        list(read(tmp_path))


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_no_flipped_bit_loses_an_acknowledged_row_in_silence(data, tmp_path_factory):
    """Whichever bit: reading raises, or the last record alone is set aside, and what is left is read."""
    folder = tmp_path_factory.mktemp("log")
    rows = [row(unit=str(number)) for number in range(4)]
    is_sealed = data.draw(st.booleans())
    path = logged(folder, rows) if is_sealed else left_open(folder, rows)
    content = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    recovery = recover(folder)

    if is_sealed or recovery.damaged:
        with pytest.raises(DataError):
            list(read(folder))
    else:
        assert rows[:3] == list(read(folder))
        assert bytes(content) == path.read_bytes() + path.with_suffix(".torn").read_bytes()
        assert 1 == recovery.torn_tails


def test_recovery_looks_only_at_segments_that_were_left_open(tmp_path):
    """A sealed segment costs a start nothing, damaged or not."""
    logged(tmp_path, [row()]).write_bytes(b"no segment at all")
    left_open(tmp_path / "other", [row()])

    assert 0 == recover(tmp_path).segments
    assert 1 == recover(tmp_path / "other").segments
    assert 0 == recover(tmp_path / "other").segments


def test_recovery_leaves_a_live_writer_alone(tmp_path):
    """What another process is just writing is no torn tail."""
    log = PredictionLog(tmp_path, 2**20)
    log.append([row()])
    path = segments(tmp_path)[0]
    with path.open("ab") as file:
        file.write(b"half a rec")

    assert 0 == recover(tmp_path).bytes_removed
    log.close()
    path.with_suffix(".open").touch()
    assert 10 == recover(tmp_path).bytes_removed


def test_a_full_disk_leaves_no_half_row(tmp_path):
    """A write the disk has no room for is refused, and what follows is readable."""
    script = f"""
import resource, signal
from pathlib import Path
from tests.adapters.test_prediction_log import row, PredictionLog, LogWriteError
log = PredictionLog(Path({str(tmp_path)!r}), 2**20)
log.append([row(unit="first")])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY))
try:
    log.append([row(unit="large", error="x" * 5000)])
except LogWriteError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.append([row(unit="last")])
"""
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )

    assert "cannot append to the log" in result.stdout
    assert {"first", "last"} == {item.unit for item in read(tmp_path)}
    assert 0 == recover(tmp_path).bytes_removed


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    """A file in the folder's place is an error of writing, named with its path."""
    (tmp_path / "log").write_text("in the way")

    with pytest.raises(LogWriteError, match=str(tmp_path / "log")):
        PredictionLog(tmp_path / "log", 2**20).append([row()])


WRITER = """
import sys
from pathlib import Path
from tests.adapters.test_prediction_log import PredictionLog, row
log = PredictionLog(Path(sys.argv[1]), 20_000)
for number in range(10**9):
    log.append([row(unit=f"{number}-{part}") for part in range(3)])
    print(number, flush=True)
"""


def test_a_writer_killed_while_appending_loses_no_acknowledged_row(tmp_path):
    """Killed with -9 amid appends: every batch that was acknowledged is read back, whole and once."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with process:
        acknowledged = [process.stdout.readline() for _ in range(300)][-1]
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().splitlines()
    last = max(int(line) for line in [acknowledged, *rest[:-1]])
    recover(tmp_path)
    units = [item.unit for item in read(tmp_path)]

    assert len(units) == len(set(units))
    assert {f"{number}-{part}" for number in range(last + 1) for part in range(3)} <= set(units)


def test_the_latest_wanted_rows_come_first_and_work_is_bounded(tmp_path):
    """Days are gone through from the last; enough rows found, or enough looked at, end the search."""
    days = [row(MOMENT - timedelta(days=back), unit=str(back)) for back in (3, 2, 1, 0)]
    for each in days:
        logged(tmp_path, [each, each, each])
    start, end = MOMENT - timedelta(days=3), MOMENT

    def units(most: int, looked_at: int, wanted: tuple[str, ...] = ("1", "2", "3")) -> list[str]:
        found = latest(tmp_path, start, end, lambda row: row.unit in wanted, most=most, looked_at=looked_at)
        return [row.unit for row in found]

    assert ["1", "1", "1", "2"] == units(4, 1_000)
    assert ["1", "1", "1"] == units(100, 6)
    assert [] == units(100, 6, wanted=("3",))
    assert ["3", "3", "3"] == units(100, 1_000, wanted=("0", "3"))
