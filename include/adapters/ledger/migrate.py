"""Brings a ledger's tables to the latest version, or back to an earlier one."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, make_url, text

from include.adapters.ledger.engine import open_engine, writing

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_NUMBER = 907_317
"""Any number, the same for all; PostgreSQL's advisory locks are named by numbers."""


def upgrade(url: str) -> None:
    """Create or migrate the ledger; safe when several processes do it at once, and when repeated."""
    _migrate(url, lambda config: command.upgrade(config, "head"))


def downgrade(url: str, revision: str) -> None:
    """Take the tables back to an earlier revision, `base` for none; what came with later ones is lost."""
    _migrate(url, lambda config: command.downgrade(config, revision))


def _migrate(url: str, change: Callable[[Config], None]) -> None:
    with _alone(url):
        engine = open_engine(url)
        try:
            if engine.dialect.name == "sqlite":
                _turn_on_wal(engine)
            with writing(engine) as connection:
                if engine.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK_NUMBER})
                config = Config()
                config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
                config.attributes["connection"] = connection
                change(config)
        finally:
            engine.dispose()


def _turn_on_wal(engine: Engine) -> None:
    # Outside any transaction; the mode is kept in the file.
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


@contextmanager
def _alone(url: str) -> Iterator[None]:
    """Hold a lock file beside a SQLite ledger, and make its file: turning on WAL waits for nobody."""
    database = make_url(url).database
    if make_url(url).get_backend_name() != "sqlite" or not database:
        yield
        return
    path = Path(database)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path.touch()
        yield
