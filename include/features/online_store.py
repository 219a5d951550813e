"""Feast's SQLite online store with what it lacks: whole runs, readers that never wait, a memory of time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from sqlite3 import Connection, Cursor

from feast import Entity, FeatureView
from feast.infra.online_stores.sqlite import SqliteOnlineStore, SqliteOnlineStoreConfig, _table_id
from feast.repo_config import RepoConfig

WRITER_PATIENCE_SECONDS = 600
"""How long a writer waits for another run to end."""


class GuardedSqliteOnlineStoreConfig(SqliteOnlineStoreConfig):  # type: ignore[misc] # Feast has no types
    """Configuration of the guarded store; Feast finds it by its name beside the store's class."""

    type: str = "include.features.online_store.GuardedSqliteOnlineStore"


class GuardedSqliteOnlineStore(SqliteOnlineStore):  # type: ignore[misc] # Feast has no types
    """SQLite in WAL mode, where a value is never replaced by one with an older event timestamp.

    The guard is a trigger in the database itself: whoever writes, Feast's own tools included, is held to it.
    """

    def update(  # noqa: PLR0917 - Feast's signature
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Create and drop the views' tables; set WAL mode and the guard, both of which stay in the file."""
        super().update(
            config, tables_to_delete, tables_to_keep, entities_to_delete, entities_to_keep, partial
        )
        connection = self._get_conn(config)
        connection.execute("PRAGMA journal_mode = WAL")
        for view in tables_to_keep:
            table = _table_id(config.project, view, config.registry.enable_online_feature_view_versioning)
            connection.execute(_guard(table))
        connection.commit()

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

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> Cursor:
        """Run a statement in the transaction."""
        return self._connection.execute(sql, parameters)

    def __enter__(self) -> None:
        """Begin nothing: Feast wraps each batch in a transaction of its own."""

    def __exit__(self, *_: object) -> None:
        """End nothing."""


def _guard(table: str) -> str:
    return (
        f'CREATE TRIGGER IF NOT EXISTS "{table}_newest_wins" BEFORE UPDATE ON "{table}" '
        "WHEN NEW.event_ts < OLD.event_ts BEGIN SELECT RAISE(IGNORE); END"
    )
