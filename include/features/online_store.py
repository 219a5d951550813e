"""Feast's SQLite online store with the two things it lacks: readers that never wait, and a memory of time."""

from collections.abc import Sequence

from feast import Entity, FeatureView
from feast.infra.online_stores.sqlite import SqliteOnlineStore, SqliteOnlineStoreConfig, _table_id
from feast.repo_config import RepoConfig


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


def _guard(table: str) -> str:
    return (
        f'CREATE TRIGGER IF NOT EXISTS "{table}_newest_wins" BEFORE UPDATE ON "{table}" '
        "WHEN NEW.event_ts < OLD.event_ts BEGIN SELECT RAISE(IGNORE); END"
    )
