"""How values lie online: one row per entity and view, its values packed together.

Feast's own layouts keep one row (SQLite) or one hash field (Redis) for each feature; reading an entity then
takes as many rows as it has features. Packed, it takes one for each view, and a view's values can only
change together. Keys are Feast's (`serialize_entity_key`, version 3), held equal by a test.
"""

import struct

import msgspec

from include.contracts.predictions import FeatureValue
from include.contracts.routes import EntityKey, EntityType

PROJECT = "ninety"
"""Feast's project; a part of the online tables' names."""
LAYOUT = 2
"""Raised when stores written before can no longer be read."""
VIEWS_KEY = f"{PROJECT}:views"
"""Redis set of the views that may be read."""

Values = dict[str, FeatureValue]
"""A view's values of one entity, by feature name."""
Stamped = tuple[int, Values]
"""Event time in seconds since 1970 UTC, and a view's values."""

_KEY_HEAD = struct.Struct("<III")
_VALUE_HEAD = struct.Struct("<II")
_INT64 = struct.Struct("<q")
_STRING_TYPE, _INT64_TYPE = 2, 4
"""Feast's `ValueType`."""

pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(Values).decode
unpack_stamped = msgspec.msgpack.Decoder(tuple[int, Values]).decode
"""Redis keeps seconds since 1970 UTC with the values."""


def table_of(view: str) -> str:
    """Return the SQLite table of a view."""
    return f"{PROJECT}_{view}"


def field_of(view: str) -> bytes:
    """Return the Redis hash field of a view's stamped values."""
    return view.encode()


def stamp_field_of(view: str) -> bytes:
    """Return the Redis hash field of a view's event time in seconds, which the guard compares."""
    return b"_ts:" + view.encode()


class KeyBytes:
    """Serialises the values of one entity key."""

    def __init__(self, key: EntityKey) -> None:
        name = key.name.encode()
        self._head = _KEY_HEAD.pack(1, _STRING_TYPE, len(name)) + name
        self._integer_head = self._head + _VALUE_HEAD.pack(_INT64_TYPE, _INT64.size)
        self._is_integer = key.type is EntityType.INT64

    def of(self, value: int | str) -> bytes:
        """Return the bytes an entity is found by; an integer needs to fit 64 bits."""
        if self._is_integer:
            return self._integer_head + _INT64.pack(int(value))
        text = str(value).encode()
        return self._head + _VALUE_HEAD.pack(_STRING_TYPE, len(text)) + text
