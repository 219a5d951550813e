"""An entity's values online, in SQLite or Redis, forgotten."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing

from include.adapters.online_backend import is_redis, redis_client
from include.adapters.online_rows import PROJECT, KeyBytes, field_of, stamp_field_of, table_of
from include.config.settings import Settings
from include.contracts.routes import EntityKey


def erase_online(settings: Settings, key: EntityKey, value: int | str, views: Iterable[str]) -> int:
    """Forget an entity's values of views; return how many views had some."""
    name = KeyBytes(key).of(value)
    if is_redis(settings):
        client = redis_client(settings)
        fields = [(field_of(view), stamp_field_of(view)) for view in views]
        return sum(bool(client.hdel(name + PROJECT.encode(), *pair)) for pair in fields)
    if not settings.online_store.exists():
        return 0
    with closing(sqlite3.connect(settings.online_store)) as connection, connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return sum(
            connection.execute(f'DELETE FROM "{table}" WHERE entity_key = ?', (name,)).rowcount  # noqa: S608
            for table in sorted({table_of(view) for view in views} & tables)
        )
