"""The prediction log as parts with the fields of a row: for who folds millions of rows and keeps none.

Compacted files on this machine's disk are named, so that DuckDB reads just the columns and rows it needs;
files in a bucket and rows that are not compacted yet come as tables of the same fields. Each row is in one
part.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path

import pyarrow

from include.adapters import prediction_parquet
from include.adapters.compacted_files import CompactedFiles
from include.adapters.compacted_log import CompactedLog
from include.adapters.logged_day import LoggedDay
from include.adapters.reading_lock import reading
from include.adapters.segments import days
from include.config.settings import Settings

BATCH_ROWS = 49_152
"""Rows of segments that are made a table of at once."""


@dataclass(frozen=True)
class LoggedParts:
    """Parts of the log; rows of days that only overlap the window are among them."""

    files: tuple[Path, ...]
    tables: Iterator[pyarrow.Table]


@contextmanager
def logged_parts(
    settings: Settings, model: str, start: datetime, end: datetime, fields: Sequence[str]
) -> Iterator[LoggedParts]:
    """Give the parts with a model's rows of [start, end) by `predicted_at`; compaction waits meanwhile.

    Args:
        settings: says where the log lies.
        model: name of the model.
        start: first moment.
        end: moment after the last one.
        fields: fields of `PredictionRow` that tables shall have.

    Raises:
        DataError: a segment is damaged before its tail, or a compacted file in a bucket is.
    """
    folder = settings.predictions_folder
    with reading(folder):
        store = CompactedFiles(folder)
        logged = [LoggedDay(folder, day) for day in _days(folder, start, end)]
        files = [file for day in logged for file in day.files_of(model) if file.overlaps(start, end)]
        local = {file.uri: path for file in files if (path := store.local(file)) is not None}
        remote = (store.columns(file, fields) for file in files if file.uri not in local)
        yield LoggedParts(tuple(local.values()), _chained(remote, logged, model, fields))


def _chained(
    remote: Iterator[pyarrow.Table], logged: Sequence[LoggedDay], model: str, fields: Sequence[str]
) -> Iterator[pyarrow.Table]:
    yield from remote
    rows = (row for day in logged for row in day.raw_rows() if row.model == model)
    while batch := list(islice(rows, BATCH_ROWS)):
        yield prediction_parquet.to_table(batch).select(fields)


def _days(folder: Path, start: datetime, end: datetime) -> list[date]:
    """Return the logged days that overlap [start, end)."""
    first, last = (moment.astimezone(UTC).date() for moment in (start, end))
    return [day for day in sorted({*days(folder), *CompactedLog(folder).days()}) if first <= day <= last]
