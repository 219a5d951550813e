"""The read side of the online feature store: the latest values of entities, without Feast in between.

It reads what was materialised last at every call. Feast's own `get_online_features` costs many times as much
and brings pandas into a process that has no use for it; tests hold the two equal.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

import msgspec

from include.adapters.online_backend import is_redis
from include.adapters.online_rows import KeyBytes, Stamped, Values, table_of, unpack
from include.config.settings import Settings
from include.contracts.errors import ServingError
from include.contracts.predictions import FeatureValue
from include.contracts.routes import EntityKey

Views = Mapping[str, Sequence[str]]
"""Names of the wanted features by view."""
Found = dict[str, list[Stamped | None]]
"""Values by view, in the order of the keys; None where there are none."""

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

    def read(self, keys: list[bytes], views: Views) -> Found: ...

    async def fetch(self, keys: list[bytes], views: Views) -> Found: ...

    async def close(self) -> None: ...


class OnlineFeatures:
    """Reads the online store; one object serves a process for its life."""

    def __init__(self, settings: Settings) -> None:
        self._store = _store(settings)

    def read(self, entity_key: EntityKey, values: Sequence[int | str], views: Views) -> list[OnlineRow]:
        """Return one row per key value, in order.

        Args:
            entity_key: name and type of the key.
            values: key values; they may repeat.
            views: names of the wanted features by view.

        Raises:
            ServingError: a view was never materialised, or the store cannot be read.
        """
        with self._telling(views):
            found = self._store.read(_keys(entity_key, values), views)
        return _rows(found, views, len(values))

    async def fetch(
        self, entity_key: EntityKey, values: Sequence[int | str], views: Views
    ) -> list[OnlineRow]:
        """Return what `read` does; while a store elsewhere is waited for, the event loop goes on."""
        with self._telling(views):
            found = await self._store.fetch(_keys(entity_key, values), views)
        return _rows(found, views, len(values))

    async def close(self) -> None:
        """Close what is open."""
        await self._store.close()

    @contextmanager
    def _telling(self, views: Views) -> Iterator[None]:
        try:
            yield
        except self._store.failures as error:
            names = ", ".join(views)
            raise ServingError(
                f"{names} cannot be read from the online store: {error}; was it materialised?"
            ) from error


def _store(settings: Settings) -> _Store:
    if not is_redis(settings):
        return _Sqlite(settings)
    # Only imported where it is used.
    from include.adapters.online_redis import OnlineRedis  # noqa: PLC0415

    return OnlineRedis(settings)


class _Sqlite:
    failures: tuple[type[Exception], ...] = (sqlite3.Error, msgspec.DecodeError, OSError)

    def __init__(self, settings: Settings) -> None:
        self._path = settings.online_store
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def read(self, keys: list[bytes], views: Views) -> Found:
        connection = self._connected()
        # Sizes are rounded up, so that there are few statements to prepare.
        size = 1 << (len(keys) - 1).bit_length()
        padded = [*keys, *(keys[-1:] * (size - len(keys)))]
        found: Found = {}
        for view in views:
            rows = connection.execute(_query(view, size), padded).fetchall()
            by_key = {key: (stamp, unpack(packed)) for key, stamp, packed in rows}
            found[view] = [by_key.get(key) for key in keys]
        return found

    async def fetch(self, keys: list[bytes], views: Views) -> Found:
        return self.read(keys, views)

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

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


def _keys(entity_key: EntityKey, values: Sequence[int | str]) -> list[bytes]:
    key = _key_bytes(entity_key)
    return [key.of(value) for value in values]


def _rows(found: Found, views: Views, count: int) -> list[OnlineRow]:
    wanted = [(name, names, frozenset(names), found[name]) for name, names in views.items()]
    return [_row(wanted, index) for index in range(count)]


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
