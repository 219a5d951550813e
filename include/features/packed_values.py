"""Feast's values as they are packed online, and back."""

from calendar import timegm
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from feast import FeatureView
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Bool, Float64, Int64, String, UnixTimestamp

from include.adapters.online_rows import pack
from include.contracts.predictions import FeatureValue

OnlineValue = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
"""A row as Feast writes it: key, values by feature, event time (UTC where it has no zone), creation time."""
OnlineValues = list[OnlineValue]

_FIELDS = {
    Bool: "bool_val",
    Float64: "double_val",
    Int64: "int64_val",
    String: "string_val",
    UnixTimestamp: "unix_timestamp_val",
}


def plain_values(values: Mapping[str, Value]) -> dict[str, FeatureValue]:
    """Return values without their types; a timestamp is its seconds since 1970 UTC."""
    return {name: _plain(value) for name, value in values.items()}


def packed_values(values: Mapping[str, Value]) -> bytes:
    """Return a row's values as they are stored."""
    return pack(plain_values(values))


def seconds_of(moment: datetime) -> int:
    """Return an event time in whole seconds since 1970 UTC; one without a zone is UTC."""
    return timegm(moment.utctimetuple())


def to_values(
    view: FeatureView, requested: Sequence[str] | None, row: tuple[int, Mapping[str, FeatureValue]] | None
) -> tuple[datetime | None, dict[str, Value] | None]:
    """Return a stored row as Feast reads it; None and None where there is none."""
    if row is None:
        return None, None
    seconds, values = row
    fields = {field.name: _FIELDS[field.dtype] for field in view.features}
    names = fields.keys() if requested is None else requested
    typed = {name: _typed(fields[name], values.get(name)) for name in names}
    return datetime.fromtimestamp(seconds, UTC), typed


def _plain(value: Value) -> FeatureValue:
    kind = value.WhichOneof("val")
    if kind is None or kind == "null_val":
        return None
    plain: FeatureValue = getattr(value, kind)
    return plain


def _typed(field: str, value: FeatureValue) -> Value:
    typed = Value()
    if value is not None:
        setattr(typed, field, value)
    return typed
