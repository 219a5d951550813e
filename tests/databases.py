"""Databases for tests, in SQLite and in a real PostgreSQL."""

from functools import cache
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine, make_url

from include.adapters.ledger.migrate import upgrade

_TEMPLATE = "template1"


def new_database(server: str, template: str = _TEMPLATE) -> str:
    """Make a database on a server, a copy of another one; return its URL."""
    name = f"test_{uuid4().hex[:12]}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    engine.dispose()
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def new_sqlite_ledger(folder: Path) -> str:
    """Make an empty ledger in a folder; return its URL."""
    url = f"sqlite:///{folder / 'ledger' / 'ledger.sqlite3'}"
    upgrade(url)
    return url


def new_ledger(server: str) -> str:
    """Make an empty ledger, migrated to its latest version; return its URL."""
    return new_database(server, _migrated(server))


@cache
def _migrated(server: str) -> str:
    """Return the name of a database that ledgers are copied from; it takes a second to migrate one."""
    url = new_database(server)
    upgrade(url)
    return str(make_url(url).database)
