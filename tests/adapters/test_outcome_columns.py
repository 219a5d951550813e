import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow
import pyarrow.parquet

from include.adapters.erased_rows import erase_outcomes
from include.adapters.outcome_columns import SCHEMA, copy_of, copy_sealed, outcome_columns
from include.adapters.outcome_log import OutcomeLog, read
from include.adapters.segments import segments
from include.contracts.predictions import OutcomeRow

NOON = datetime(2017, 11, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def outcome(number: int, at: datetime) -> OutcomeRow:
    """Return an outcome of a unit."""
    return OutcomeRow(
        outcome_id=f"outcome-{number}",
        model="churn",
        metric="came_back",
        value=float(number),
        occurred_at=at,
        recorded_at=at + timedelta(microseconds=1),
        unit=str(number),
    )


def rows_of(folder: Path, start: datetime, end: datetime) -> list[dict[str, object]]:
    """Return what is read, by id."""
    found = outcome_columns(folder, start, end)
    tables = [pyarrow.parquet.read_table(path, partitioning=None) for path in found.files]
    table = pyarrow.concat_tables([found.rest, *tables])
    assert table.schema == SCHEMA
    return sorted(table.to_pylist(), key=lambda row: str(row["outcome_id"]))


def test_sealed_segments_are_copied_once_and_open_ones_read_as_they_are(tmp_path: Path) -> None:
    """Whatever is sealed meanwhile, each outcome is there once, as it was logged."""
    log = OutcomeLog(tmp_path, 2**20)
    log.append([outcome(number, NOON) for number in range(3)])
    window = (NOON - DAY, NOON + DAY)
    assert 3 == len(rows_of(tmp_path, *window))
    assert () == outcome_columns(tmp_path, *window).files
    log.close()
    (copy,) = outcome_columns(tmp_path, *window).files
    first = copy.stat().st_mtime_ns
    log = OutcomeLog(tmp_path, 2**20)
    log.append([outcome(3, NOON)])
    logged = [{name: getattr(row, name) for name in SCHEMA.names} for row in read(tmp_path)]
    assert logged == rows_of(tmp_path, *window)
    log.close()
    assert 2 == len(outcome_columns(tmp_path, *window).files)
    assert first == copy.stat().st_mtime_ns
    copy.unlink()
    assert 4 == len(rows_of(tmp_path, *window))


def test_only_days_of_the_window_are_read(tmp_path: Path) -> None:
    """The copies are no segments: the log reads as before."""
    log = OutcomeLog(tmp_path, 2**20)
    log.append([outcome(number, NOON + number * DAY) for number in range(4)])
    log.close()
    found = rows_of(tmp_path, NOON + DAY, NOON + 2 * DAY)
    assert ["outcome-1", "outcome-2"] == [row["outcome_id"] for row in found]
    assert 4 == len(list(read(tmp_path)))


def test_who_is_erased_from_the_log_is_in_no_copy(tmp_path: Path) -> None:
    """The copy goes at once; one that came from elsewhere, older than its segment, is made anew."""
    log = OutcomeLog(tmp_path, 2**20)
    log.append([outcome(number, NOON) for number in range(3)])
    log.close()
    assert (1, 0) == (copy_sealed(tmp_path), copy_sealed(tmp_path))
    (segment,) = segments(tmp_path)
    old = copy_of(segment).read_bytes()
    assert 1 == erase_outcomes(tmp_path, lambda row: row.unit == "1").rows
    assert not copy_of(segment).exists()
    copy_of(segment).write_bytes(old)
    os.utime(copy_of(segment), ns=(0, segment.stat().st_mtime_ns - 1))
    assert ["0", "2"] == [row["unit"] for row in rows_of(tmp_path, NOON - DAY, NOON + DAY)]
