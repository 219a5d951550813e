"""The prediction log by columns: what monitors read, compacted or not, each row once, as one Arrow table.

A column is a field of the row, or `output.<place>`, `feature.<name>`, `request.<name>` (request features) or
`timestamp.<view>` (feature timestamps). Compacted files are read column by column and their JSON is taken
apart by DuckDB; only what is not compacted yet, and rows JSON cannot hold, pass through Python.
"""

import json
import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path

import duckdb
import msgspec
import pyarrow
from pyarrow import compute

from include.adapters import prediction_parquet
from include.adapters.compacted_files import CompactedFiles
from include.adapters.compacted_log import CompactedLog
from include.adapters.logged_day import LoggedDay
from include.adapters.reading_lock import reading
from include.adapters.segments import days
from include.config.settings import Settings
from include.contracts.predictions import PredictionRow, Source

BATCH_ROWS = 49_152
"""Rows of segments that are made columns of at once."""
_MAPPINGS = {"feature": "features", "request": "request_features", "timestamp": "feature_timestamps"}
"""Prefix of a column: the field it is a key of."""
_FIELDS = frozenset(prediction_parquet.schema().names) - {
    prediction_parquet.EXACT,
    "entity",
    *_MAPPINGS.values(),
}
_KINDS = {
    "DOUBLE": pyarrow.float64(),
    "VARCHAR": pyarrow.string(),
    "TIMESTAMPTZ": pyarrow.timestamp("us", "UTC"),
}
_decode = msgspec.msgpack.Decoder(PredictionRow).decode


def read_columns(
    settings: Settings,
    model: str,
    start: datetime,
    end: datetime,
    columns: Sequence[str],
    *,
    texts: Collection[str] = (),
    sources: Collection[Source] = (Source.LIVE,),
) -> pyarrow.Table:
    """Return columns of a model's rows with `predicted_at` in [start, end), in no particular order.

    Args:
        settings: says where the log lies.
        model: name of the model.
        start: first moment.
        end: moment after the last one.
        columns: fields of `PredictionRow` that are no mappings, `output.<place>`, `feature.<name>`,
            `request.<name>`, `timestamp.<view>`.
        texts: which of the features are text. All others are numbers (bool counts as 0 and 1): text is one
            if it reads as one, else null, as is a missing value; NaN stays NaN.
        sources: where the predictions came from.

    Returns:
        A table of those columns. Each row of the log is in it once, whatever compaction does meanwhile.

    Raises:
        ValueError: there can be no such column, or a bound has no time zone.
        DataError: a segment is damaged before its tail, or a compacted file is.
    """
    wanted = _Wanted(model, start, end, tuple(columns), frozenset(texts), frozenset(map(str, sources)))
    folder = settings.predictions_folder
    with reading(folder), ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = [part for day in _days(folder, start, end) for part in _of_day(folder, day, wanted, pool)]
    return pyarrow.concat_tables([wanted.schema.empty_table(), *parts])


@dataclass(frozen=True)
class _Wanted:
    """Which rows and columns are asked for."""

    model: str
    start: datetime
    end: datetime
    columns: tuple[str, ...]
    texts: frozenset[str]
    sources: frozenset[str]

    def __post_init__(self) -> None:
        for column in self.columns:
            prefix, dot, name = column.partition(".")
            fits = name.isdigit() if prefix == "output" else bool(name) and prefix in _MAPPINGS
            if not (fits if dot else column in _FIELDS):
                raise ValueError(f"{column!r} is no column of the prediction log")
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a window's bounds need a time zone")

    @cached_property
    def schema(self) -> pyarrow.Schema:
        """The columns that are returned."""
        return pyarrow.schema([(column, self._type(column)) for column in self.columns])

    def _type(self, column: str) -> pyarrow.DataType:
        prefix, dot, _ = column.partition(".")
        if not dot:
            return prediction_parquet.schema().field(column).type
        return pyarrow.float64() if prefix == "output" else _KINDS[self.kind(column)]

    def kind(self, column: str) -> str:
        """Return DuckDB's type of a key of a mapping."""
        prefix, _, name = column.partition(".")
        if prefix == "timestamp":
            return "TIMESTAMPTZ"
        return "VARCHAR" if name in self.texts else "DOUBLE"

    @cached_property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """The columns that are keys of each mapping."""
        found = {
            field: tuple(dict.fromkeys(each for each in self.columns if each.startswith(f"{prefix}.")))
            for prefix, field in _MAPPINGS.items()
        }
        return {field: names for field, names in found.items() if names}

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The fields of a file that must be read."""
        named = {each for each in self.columns if "." not in each}
        outputs = {"outputs"} if any(each.startswith("output.") for each in self.columns) else set()
        exact = {prediction_parquet.EXACT} if self.keys else set()
        return tuple(sorted({"predicted_at", "source", *named, *outputs, *self.keys, *exact}))


def _of_day(folder: Path, day: date, wanted: _Wanted, pool: ThreadPoolExecutor) -> Iterator[pyarrow.Table]:
    logged = LoggedDay(folder, day)
    store = CompactedFiles(folder)
    files = [file for file in logged.files_of(wanted.model) if file.overlaps(wanted.start, wanted.end)]
    yield from pool.map(lambda file: _taken(store.columns(file, wanted.fields), wanted), files)
    of_model = (row for row in logged.raw_rows() if row.model == wanted.model)
    while rows := list(islice(of_model, BATCH_ROWS)):
        yield _taken(prediction_parquet.to_table(rows).select(wanted.fields), wanted)


def _taken(table: pyarrow.Table, wanted: _Wanted) -> pyarrow.Table:
    """Return the wanted rows and columns of a table of fields."""
    at = table["predicted_at"]
    in_window = compute.and_(
        compute.greater_equal(at, pyarrow.scalar(wanted.start, at.type)),
        compute.less(at, pyarrow.scalar(wanted.end, at.type)),
    )
    of_source = compute.is_in(table["source"], pyarrow.array(sorted(wanted.sources), pyarrow.string()))
    table = table.filter(compute.and_(in_window, of_source))
    values = _values(table, wanted)
    columns = [values[name] if name in values else _plain(table, name) for name in wanted.columns]
    return pyarrow.Table.from_arrays(columns, schema=wanted.schema)


def _plain(table: pyarrow.Table, column: str) -> pyarrow.ChunkedArray:
    """Return a field, or a place of the outputs: null where there is no such output."""
    _, dot, place = column.partition(".")
    if not dot:
        return table[column]
    sliced = compute.list_slice(table["outputs"], int(place), int(place) + 1, return_fixed_size_list=True)
    return compute.list_element(sliced, 0)


def _values(table: pyarrow.Table, wanted: _Wanted) -> dict[str, pyarrow.ChunkedArray]:
    """Return the wanted keys of mappings."""
    found: dict[str, pyarrow.ChunkedArray] = {}
    for field, columns in wanted.keys.items():
        kinds = {column: wanted.kind(column) for column in columns}
        found |= _parsed(table, field, kinds)
    if found and table[prediction_parquet.EXACT].null_count < len(table):
        rows = {
            place: _decode(each)
            for place, each in enumerate(table[prediction_parquet.EXACT].to_pylist())
            if each
        }
        found = {column: _mended(values, column, rows) for column, values in found.items()}
    return found


def _parsed(table: pyarrow.Table, field: str, kinds: dict[str, str]) -> dict[str, pyarrow.ChunkedArray]:
    """Take a column of JSON objects apart."""
    structure = json.dumps({column.partition(".")[2]: kind for column, kind in kinds.items()})
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("logged", table.select([field]).rename_columns(["mapping"]))
        # The connection is this call's own, and its one thread keeps the rows in their order.
        parsed = connection.sql(
            "SELECT unnest(json_transform(mapping, ?)) FROM logged", params=[structure]
        ).to_arrow_table()
    return {
        column: values.cast(_KINDS[kind])
        for (column, kind), values in zip(kinds.items(), parsed.columns, strict=True)
    }


def _mended(
    values: pyarrow.ChunkedArray, column: str, rows: dict[int, PredictionRow]
) -> pyarrow.ChunkedArray:
    """Replace the numbers JSON could not hold by what was logged."""
    prefix, _, name = column.partition(".")
    if values.type != pyarrow.float64():
        return values
    mended = values.to_pylist()
    for place, row in rows.items():
        value = getattr(row, _MAPPINGS[prefix]).get(name)
        if isinstance(value, float):
            mended[place] = value
    return pyarrow.chunked_array([pyarrow.array(mended, values.type)])


def _days(folder: Path, start: datetime, end: datetime) -> list[date]:
    """Return the logged days that overlap [start, end)."""
    first, last = (moment.astimezone(UTC).date() for moment in (start, end))
    return [day for day in sorted({*days(folder), *CompactedLog(folder).days()}) if first <= day <= last]
