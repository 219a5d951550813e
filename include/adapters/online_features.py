"""The read side of the online feature store: the latest values of entities, without Feast in between.

It reads what was materialised last at every call. Feast's own `get_online_features` costs many times as much
and brings pandas into a process that has no use for it; tests hold the two equal.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from include.adapters.online_backend import is_redis, redis_client
from include.adapters.online_rows import (
    PROJECT,
    VIEWS_KEY,
    KeyBytes,
    Values,
    field_of,
    table_of,
    unpack,
    unpack_stamped,
)
from include.config.settings import Settings
from include.contracts.errors import ServingError
from include.contracts.predictions import FeatureValue
from include.contracts.routes import EntityKey

Views = Mapping[str, Sequence[str]]
"""Names of the wanted features by view."""
Stamped = tuple[int, Values]
"""Event time in seconds since 1970 UTC, and a view's values."""

_PATIENCE_SECONDS = 0.2
"""Readers of SQLite's write-ahead log only wait while a crashed writer's log is recovered."""
_CACHED_STATEMENTS = 1024


@dataclass(frozen=True, slots=True)
class OnlineRow:
    """One entity's latest values."""

    features: dict[str, dict[str, FeatureValue]]
    """By view and feature name; None where the value is null or the entity has no row in the view."""
    timestamps: dict[str, datetime | None]
    """Event time by view, UTC; None where the entity has no row in it."""


class _Store(Protocol):
    @property
    def failures(self) -> tuple[type[Exception], ...]: ...

    def read(self, keys: list[bytes], views: Views) -> dict[str, list[Stamped | None]]: ...


class OnlineFeatures:
    """Reads the online store; one object serves a process for its life, one call at a time."""

    def __init__(self, settings: Settings) -> None:
        self.is_local = not is_redis(settings)
        """Whether reads are answered from this machine's memory and disk, in microseconds."""
        self._store: _Store = _Sqlite(settings) if self.is_local else _Redis(settings)

    def read(self, entity_key: EntityKey, values: Sequence[int | str], views: Views) -> list[OnlineRow]:
        """Return one row per key value, in order.

        Args:
            entity_key: name and type of the key.
            values: key values; they may repeat.
            views: names of the wanted features by view.

        Raises:
            ServingError: a view was never materialised, or the store cannot be read.
        """
        key = _key_bytes(entity_key)
        try:
            found = self._store.read([key.of(value) for value in values], views)
        except self._store.failures as error:
            names = ", ".join(views)
            raise ServingError(
                f"{names} cannot be read from the online store: {error}; was it materialised?"
            ) from error
        wanted = [(name, names, frozenset(names), found[name]) for name, names in views.items()]
        return [_row(wanted, index) for index in range(len(values))]


class _Sqlite:
    failures: tuple[type[Exception], ...] = (sqlite3.Error, msgspec.DecodeError, OSError)

    def __init__(self, settings: Settings) -> None:
        self._path = settings.online_store
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def read(self, keys: list[bytes], views: Views) -> dict[str, list[Stamped | None]]:
        connection = self._connected()
        # Sizes are rounded up, so that there are few statements to prepare.
        size = 1 << (len(keys) - 1).bit_length()
        padded = [*keys, *(keys[-1:] * (size - len(keys)))]
        found: dict[str, list[Stamped | None]] = {}
        for view in views:
            rows = connection.execute(_query(view, size), padded).fetchall()
            by_key = {key: (stamp, unpack(packed)) for key, stamp, packed in rows}
            found[view] = [by_key.get(key) for key in keys]
        return found

    def _connected(self) -> sqlite3.Connection:
        """Return a connection to the file that is there now: a kept one would go on with one moved away."""
        found = self._path.stat()
        file = found.st_dev, found.st_ino
        if self._connection is not None and file != self._file:
            self._connection.close()
            self._connection = None
        if self._connection is None:
            self._connection, self._file = self._opened(), file
        return self._connection

    def _opened(self) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=_PATIENCE_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_CACHED_STATEMENTS,
        )


class _Redis:
    def __init__(self, settings: Settings) -> None:
        # Only imported where it is used.
        from redis.exceptions import RedisError  # noqa: PLC0415

        self.failures: tuple[type[Exception], ...] = (RedisError, msgspec.DecodeError, LookupError)
        self._client = redis_client(settings)
        self._known: frozenset[str] = frozenset()

    def read(self, keys: list[bytes], views: Views) -> dict[str, list[Stamped | None]]:
        if not self._known.issuperset(views):
            self._look_up(views)
        fields = [field_of(view) for view in views]
        project = PROJECT.encode()
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.hmget(key + project, fields)
        answers: list[list[bytes | None]] = pipeline.execute()
        return {view: [_stamped(answer[place]) for answer in answers] for place, view in enumerate(views)}

    def _look_up(self, views: Views) -> None:
        members: set[Any] = self._client.smembers(VIEWS_KEY)
        self._known = frozenset(member.decode() for member in members)
        if unknown := sorted(set(views) - self._known):
            raise LookupError(f"no view {', '.join(unknown)} is there")


@lru_cache(maxsize=64)
def _key_bytes(key: EntityKey) -> KeyBytes:
    return KeyBytes(key)


@lru_cache(maxsize=4096)
def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@lru_cache(maxsize=1024)
def _query(view: str, keys: int) -> str:
    table = table_of(view).replace('"', '""')
    places = ",".join("?" * keys)
    return f'SELECT entity_key, event_ts, packed FROM "{table}" WHERE entity_key IN ({places})'  # noqa: S608


def _stamped(packed: bytes | None) -> Stamped | None:
    return None if packed is None else unpack_stamped(packed)


def _row(
    wanted: Sequence[tuple[str, Sequence[str], frozenset[str], Sequence[Stamped | None]]], index: int
) -> OnlineRow:
    features: dict[str, Values] = {}
    timestamps: dict[str, datetime | None] = {}
    for view, names, name_set, rows in wanted:
        row = rows[index]
        if row is None:
            timestamps[view], features[view] = None, dict.fromkeys(names)
        else:
            seconds, values = row
            timestamps[view] = _moment(seconds)
            is_whole = values.keys() == name_set
            features[view] = values if is_whole else {name: values.get(name) for name in names}
    return OnlineRow(features, timestamps)
