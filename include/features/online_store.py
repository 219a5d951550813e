"""Feast's SQLite online store, packed: whole runs, readers that never wait, an order in time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from sqlite3 import Connection, Cursor
from typing import Any

from feast import Entity, FeatureView
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.sqlite import SqliteOnlineStore, SqliteOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import RepoConfig

from include.adapters.online_rows import table_of, unpack
from include.features.packed_values import OnlineValue, OnlineValues, packed_values, seconds_of, to_values

WRITER_PATIENCE_SECONDS = 600
"""How long a writer waits for another run to end."""
_MOST_KEYS = 500
"""Keys asked for at once."""


class GuardedSqliteOnlineStoreConfig(SqliteOnlineStoreConfig):  # type: ignore[misc] # Feast has no types
    """Configuration of the guarded store; Feast finds it by its name beside the store's class."""

    type: str = "include.features.online_store.GuardedSqliteOnlineStore"


class GuardedSqliteOnlineStore(SqliteOnlineStore):  # type: ignore[misc] # Feast has no types
    """SQLite in WAL mode, a row per entity and view, never replaced by one with an older event timestamp.

    The guard is a trigger in the database itself: whoever writes is held to it.
    """

    def update(  # noqa: PLR0917 - Feast's signature
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],  # noqa: ARG002 - Feast's signature
        entities_to_keep: Sequence[Entity],  # noqa: ARG002 - Feast's signature
        partial: bool,  # noqa: ARG002 - Feast's signature
    ) -> None:
        """Create and drop the views' tables; set WAL mode and the guard, both of which stay in the file."""
        connection = self._get_conn(config)
        connection.execute("PRAGMA journal_mode = WAL")
        for view in tables_to_keep:
            table = table_of(view.name)
            if _is_of_another_layout(connection, table):
                connection.execute(f'DROP TABLE "{table}"')
            connection.execute(
                f'CREATE TABLE IF NOT EXISTS "{table}" '
                "(entity_key BLOB PRIMARY KEY, event_ts INTEGER NOT NULL, packed BLOB NOT NULL)"
            )
            connection.execute(_guard(table))
        for view in tables_to_delete:
            connection.execute(f'DROP TABLE IF EXISTS "{table_of(view.name)}"')
        connection.commit()

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: OnlineValues,
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write rows, each if what is stored is not newer, in whole seconds."""
        connection = self._get_conn(config)
        with connection:
            connection.executemany(
                f'INSERT INTO "{table_of(table.name)}" VALUES (?, ?, ?) ON CONFLICT (entity_key) '  # noqa: S608
                "DO UPDATE SET event_ts = excluded.event_ts, packed = excluded.packed",
                (_stored(config, row) for row in data),
            )
        if progress:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        """Return each entity's event time and values; None and None where it has no row."""
        keys = [_key(config, key) for key in entity_keys]
        found = dict(self._rows(config, table_of(table.name), sorted(set(keys))))
        return [to_values(table, requested_features, found.get(key)) for key in keys]

    def _rows(
        self, config: RepoConfig, table: str, keys: Sequence[bytes]
    ) -> Iterator[tuple[bytes, tuple[int, dict[str, Any]]]]:
        connection = self._get_conn(config)
        for start in range(0, len(keys), _MOST_KEYS):
            some = keys[start : start + _MOST_KEYS]
            places = ",".join("?" * len(some))
            query = f'SELECT entity_key, event_ts, packed FROM "{table}" WHERE entity_key IN ({places})'  # noqa: S608
            for key, seconds, packed in connection.execute(query, some):
                yield key, (seconds, unpack(packed))

    @contextmanager
    def one_write(self, config: RepoConfig) -> Iterator[None]:
        """Make one transaction of all that is written inside; readers go on seeing what was before.

        What does not fit SQLite's page cache goes to the write-ahead log, not to memory. Another process's
        write waits until this one ends.
        """
        connection = self._get_conn(config)
        connection.execute(f"PRAGMA busy_timeout = {WRITER_PATIENCE_SECONDS * 1000}")
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            self._conn = _Joined(connection)
            try:
                yield
            finally:
                self._conn = connection


class _Joined:
    """A connection whose statements belong to a transaction that is ended elsewhere."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def executemany(self, sql: str, rows: Iterator[tuple[bytes, int, bytes]]) -> Cursor:
        """Run a statement in the transaction, once for each row."""
        return self._connection.executemany(sql, rows)

    def __enter__(self) -> None:
        """Begin nothing: each batch otherwise has a transaction of its own."""

    def __exit__(self, *_: object) -> None:
        """End nothing."""


def _key(config: RepoConfig, key: EntityKey) -> bytes:
    serialised: bytes = serialize_entity_key(key, config.entity_key_serialization_version)
    return serialised


def _stored(config: RepoConfig, row: OnlineValue) -> tuple[bytes, int, bytes]:
    key, values, moment, _ = row
    return _key(config, key), seconds_of(moment), packed_values(values)


def _is_of_another_layout(connection: Connection, table: str) -> bool:
    columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
    return columns not in ([], ["entity_key", "event_ts", "packed"])


def _guard(table: str) -> str:
    return (
        f'CREATE TRIGGER IF NOT EXISTS "{table}_newest_wins" BEFORE UPDATE ON "{table}" '
        "WHEN NEW.event_ts < OLD.event_ts BEGIN SELECT RAISE(IGNORE); END"
    )
