"""The outcome log by columns: what analyses join, at the speed of Parquet instead of row by row.

Nothing is added to a sealed segment, so its rows are copied once to `columns/day=…/<segment>.parquet` beside
the log. The log stays the truth: a copy may be deleted at any time and is made again, and one that is older
than its segment, from which somebody was erased since, is made anew. What is not sealed yet is read as it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow

from include.adapters.parquet import write_table
from include.adapters.segments import is_whole, read_payloads, segments
from include.contracts.predictions import OutcomeRow

FOLDER = "columns"
_MOMENT = pyarrow.timestamp("us", "UTC")
SCHEMA = pyarrow.schema(
    [
        ("outcome_id", pyarrow.string()),
        ("model", pyarrow.string()),
        ("metric", pyarrow.string()),
        ("value", pyarrow.float64()),
        ("occurred_at", _MOMENT),
        ("recorded_at", _MOMENT),
        ("prediction_id", pyarrow.string()),
        ("unit", pyarrow.string()),
    ]
)
"""Columns of a copy."""
_decode = msgspec.msgpack.Decoder(OutcomeRow).decode
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class OutcomeColumns:
    """The outcomes of some days: files to be read, and what is in none of them."""

    files: tuple[Path, ...]
    rest: pyarrow.Table


def outcome_columns(folder: Path, start: datetime, end: datetime) -> OutcomeColumns:
    """Return the outcomes of the days that overlap [start, end); whoever reads them drops what lies outside.

    Args:
        folder: of the outcome log.
        start: first moment of `occurred_at`.
        end: moment after the last one.

    Raises:
        DataError: a segment is damaged before its tail.
    """
    files, rest = [], []
    for segment in segments(folder, start, end):
        if is_whole(segment):
            files.append(_copied(segment))
        else:
            rest.append(_table(map(_decode, read_payloads(segment))))
    return OutcomeColumns(tuple(files), pyarrow.concat_tables([SCHEMA.empty_table(), *rest]))


def copy_sealed(folder: Path) -> int:
    """Copy every sealed segment that has no copy yet, so that no analysis waits for it; return how many.

    Raises:
        DataError: a segment is damaged before its tail.
    """
    waiting = [each for each in segments(folder) if is_whole(each) and not _is_current(copy_of(each), each)]
    for segment in waiting:
        _copied(segment)
    return len(waiting)


def copy_of(segment: Path) -> Path:
    """Return where the copy of a segment lies, or would: whoever takes rows out of one deletes it."""
    return segment.parents[1] / FOLDER / segment.parent.name / f"{segment.stem}.parquet"


def _copied(segment: Path) -> Path:
    path = copy_of(segment)
    while not _is_current(path, segment):
        before = _identity(segment)
        write_table(path, _table(map(_decode, read_payloads(segment))))
        if _identity(segment) != before:
            # Somebody was erased from it meanwhile, or its day was forgotten: then reading it says so.
            path.unlink(missing_ok=True)
    return path


def _is_current(path: Path, segment: Path) -> bool:
    return path.is_file() and path.stat().st_mtime_ns >= segment.stat().st_mtime_ns


def _identity(segment: Path) -> tuple[int, int] | None:
    """Return what tells a segment from the one it is replaced by; None where it is gone."""
    try:
        found = segment.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _table(rows: Iterable[OutcomeRow]) -> pyarrow.Table:
    found = list(rows)
    columns = [pyarrow.array([_value(row, field) for row in found], field.type) for field in SCHEMA]
    return pyarrow.Table.from_arrays(columns, schema=SCHEMA)


def _value(row: OutcomeRow, field: pyarrow.Field) -> object:
    value = getattr(row, field.name)
    # Twice as fast as letting Arrow look at each moment's zone.
    return (value - _EPOCH) // _MICROSECOND if field.type == _MOMENT else value
