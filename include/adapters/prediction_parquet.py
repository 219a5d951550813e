"""Rows of the prediction log as Parquet: a column a field, sorted by id, one found without reading the rest.

Mappings (entity, features, their timestamps, request features) are JSON text, which tools query and every
model fits. JSON has no NaN and no infinity: a row that holds one is kept in `exact` besides, as logged.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Any, BinaryIO, get_args, get_origin

import msgspec
import pyarrow
import pyarrow.parquet
from pyarrow import compute

from include.contracts.predictions import PredictionRow

ROW_GROUP_ROWS = 2_048
"""Rows read to find one of them."""
EXACT = "exact"
_ID = "prediction_id"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MOMENT = pyarrow.timestamp("us", "UTC")
_TYPES: dict[type, pyarrow.DataType] = {
    str: pyarrow.string(),
    int: pyarrow.int64(),
    float: pyarrow.float64(),
    bool: pyarrow.bool_(),
    datetime: _MOMENT,
    dict: pyarrow.string(),
    tuple: pyarrow.list_(pyarrow.float64()),
}
_encode = msgspec.msgpack.Encoder().encode
_to_json = msgspec.json.Encoder().encode
_decode = msgspec.msgpack.Decoder(PredictionRow).decode


def to_table(rows: Sequence[PredictionRow]) -> pyarrow.Table:
    """Return rows as a table of `schema()`, sorted by prediction id."""
    ordered = sorted(rows, key=lambda row: row.prediction_id)
    columns = [_column(ordered, field) for field in _fields()]
    exact = pyarrow.array([None if _is_plain(row) else _encode(row) for row in ordered], pyarrow.binary())
    return pyarrow.Table.from_arrays([*columns, exact], schema=schema())


@cache
def schema() -> pyarrow.Schema:
    """Return the columns: the fields of a row, then `exact`."""
    fields = [pyarrow.field(field.name, _TYPES[_kind(field.type)]) for field in _fields()]
    return pyarrow.schema([*fields, pyarrow.field(EXACT, pyarrow.binary())])


def from_table(table: pyarrow.Table) -> Iterator[PredictionRow]:
    """Yield the rows of a table; a field that its file does not have yet gets its default."""
    fields = [field for field in _fields() if field.name in table.column_names]
    names = [field.name for field in fields]
    columns = [_values(table[field.name], field.type) for field in fields]
    for exact, *values in zip(table[EXACT].to_pylist(), *columns, strict=True):
        yield PredictionRow(**dict(zip(names, values, strict=True))) if exact is None else _decode(exact)


def write(table: pyarrow.Table) -> bytes:
    """Return a table of `schema()` as one Parquet file; the same rows give the same bytes."""
    sink = pyarrow.BufferOutputStream()
    json = {field.name for field in _fields() if _kind(field.type) is dict}
    texts = [field.name for field in schema() if field.type == pyarrow.string()]
    pyarrow.parquet.write_table(
        table,
        sink,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        use_dictionary=[name for name in texts if name not in json and name != _ID],
        column_encoding={_ID: "DELTA_BYTE_ARRAY"},
        # Statistics and the schema a second time would be half of what a look-up reads.
        write_statistics=[_ID],
        store_schema=False,
        write_page_checksum=True,
    )
    return bytes(sink.getvalue())


def read(file: BinaryIO) -> Iterator[PredictionRow]:
    """Yield all rows of a file, by id."""
    parquet = _opened(file)
    for number in range(parquet.num_row_groups):
        yield from from_table(parquet.read_row_group(number))


def read_columns(file: BinaryIO, names: Sequence[str]) -> pyarrow.Table:
    """Return columns of all rows of a file; a field that it does not have yet gets its default."""
    table = _opened(file).read(columns=list(names), use_threads=False)
    found = [table[name] if name in table.column_names else _defaults(name, len(table)) for name in names]
    wanted = pyarrow.schema([schema().field(name) for name in names])
    return pyarrow.Table.from_arrays(found, names=list(names)).cast(wanted)


def read_backwards(file: BinaryIO) -> Iterator[PredictionRow]:
    """Yield all rows of a file, the last id first; what is not asked for is not read."""
    parquet = _opened(file)
    for number in reversed(range(parquet.num_row_groups)):
        yield from reversed(list(from_table(parquet.read_row_group(number))))


def find(file: BinaryIO, prediction_ids: Collection[str]) -> Iterator[PredictionRow]:
    """Yield the rows of ids; only row groups whose range holds one are read."""
    parquet = _opened(file)
    for number in range(parquet.num_row_groups):
        bounds = parquet.metadata.row_group(number).column(0).statistics
        wanted = [each for each in prediction_ids if bounds.min <= each <= bounds.max]
        if wanted:
            table = parquet.read_row_group(number)
            fitting = compute.is_in(table[_ID], pyarrow.array(wanted, pyarrow.string()))
            yield from from_table(table.filter(fitting))


def ids_of_request(file: BinaryIO, request_id: str, moment: datetime) -> list[str]:
    """Return the prediction ids a request has in a file at a moment of event time; three columns are read."""
    table = _opened(file).read(columns=[_ID, "request_id", "predicted_at"])
    at = pyarrow.scalar(moment, _MOMENT)
    fitting = compute.and_(
        compute.equal(table["request_id"], request_id), compute.equal(table["predicted_at"], at)
    )
    found: list[str] = table.filter(fitting)[_ID].to_pylist()
    return found


def _opened(file: BinaryIO) -> pyarrow.parquet.ParquetFile:
    return pyarrow.parquet.ParquetFile(file, page_checksum_verification=True, pre_buffer=False)


def _defaults(name: str, rows: int) -> pyarrow.Array:
    [default] = [field.default for field in _fields() if field.name == name]
    return pyarrow.array([default] * rows, schema().field(name).type)


@cache
def _fields() -> tuple[msgspec.structs.FieldInfo, ...]:
    """Return the fields of a row, the id first."""
    return tuple(sorted(msgspec.structs.fields(PredictionRow), key=lambda field: field.name != _ID))


@cache
def _kind(annotation: Any) -> type:  # noqa: ANN401 - a field's type, generic or not
    """Return which of the column types a field has."""
    plain = _plain(annotation)
    origin: type = get_origin(plain) or plain
    return str if issubclass(origin, Enum) else origin


def _plain(annotation: Any) -> Any:  # noqa: ANN401
    """Return a field's type without None."""
    if not isinstance(annotation, UnionType):
        return annotation
    [plain] = [each for each in get_args(annotation) if each is not NoneType]
    return plain


def _column(rows: Sequence[PredictionRow], field: msgspec.structs.FieldInfo) -> pyarrow.Array:
    values = [getattr(row, field.name) for row in rows]
    kind = _kind(field.type)
    if kind is dict:
        return pyarrow.array([_to_json(value) for value in values], pyarrow.binary()).cast(pyarrow.string())
    return pyarrow.array(values, _TYPES[kind])


def _values(column: pyarrow.ChunkedArray, annotation: Any) -> list[Any]:  # noqa: ANN401
    convert = _converter(annotation)
    values: list[Any] = (column.cast(pyarrow.int64()) if column.type == _MOMENT else column).to_pylist()
    return values if convert is None else [None if each is None else convert(each) for each in values]


@cache
def _converter(annotation: Any) -> Callable[[Any], Any] | None:  # noqa: ANN401
    """Return what makes a field's value of a column's; None where they are the same."""
    plain, kind = _plain(annotation), _kind(annotation)
    converters: dict[type, Callable[[Any], Any]] = {
        dict: msgspec.json.Decoder(annotation).decode,
        tuple: tuple,
        datetime: _moment,
    }
    if kind is str and plain is not str:
        converters[str] = plain  # an Enum
    return converters.get(kind)


def _moment(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND


def _is_plain(row: PredictionRow) -> bool:
    """Say whether JSON holds the row's mappings as they are."""
    return all(
        not isinstance(value, float) or isfinite(value)
        for values in (row.features, row.request_features)
        for value in values.values()
    )
