"""The ledger's database connection: the same code for SQLite and PostgreSQL."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError, DisconnectionError, IntegrityError
from sqlalchemy.pool import ConnectionPoolEntry

from include.contracts.errors import ConflictError, LedgerError

BUSY_SECONDS = 60
"""How long a SQLite writer waits for the one before it."""
_REST_SECONDS = 1.0
"""After so long a server may have restarted: a kept connection is asked whether it lives."""


def open_engine(url: str) -> Engine:
    """Return an engine; nothing is connected yet, and no SQLite file is made."""
    address = make_url(url)
    if address.get_backend_name() != "sqlite":
        engine = create_engine(url)
        _ping_after_rest(engine)
        return engine
    path = Path(address.database or "").absolute()
    engine = create_engine(url, creator=lambda: _connect(path))
    _follow(engine, path)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Yield a connection that sees one consistent state, whatever is written meanwhile."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":  # there each statement would see a state of its own
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield connection


@contextmanager
def writing(engine: Engine, *, commits_early: bool = False) -> Iterator[Connection]:
    """Yield a connection in a write transaction: committed at the end, undone on any error.

    On SQLite the write lock is taken at once: a transaction that reads first and asks for the lock
    later fails when somebody else wrote in between.

    Args:
        engine: of the database.
        commits_early: the transaction's commit does not wait for the disk, so that its locks are given back
            sooner; that wait comes afterwards.
    """
    with engine.connect() as connection:
        connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        with connection.begin():
            yield connection
        if commits_early:
            _await_disk(connection)


def _await_disk(connection: Connection) -> None:
    """Return once everything committed before is on PostgreSQL's disk; SQLite's commits are.

    What was committed early stands before this commit in the server's one log, and this one waits: as the
    server is told to, for its standbys too. All who wait at the same time share one write to the disk.
    """
    if connection.dialect.name == "postgresql":
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql("SELECT pg_logical_emit_message(true, 'ledger', '')")


@contextmanager
def translating(engine: Engine) -> Iterator[None]:
    """Turn what the database refuses into the ledger's own errors.

    Raises:
        ConflictError: a constraint forbids the change.
        LedgerError: the database is away or its tables are not there.
    """
    name = engine.url.render_as_string(hide_password=True)
    try:
        yield
    except IntegrityError as error:
        raise ConflictError(f"ledger {name} refused the change: {error.orig}") from error
    except DatabaseError as error:
        raise LedgerError(
            f"ledger {name} cannot be used: {error.orig}; is it there, and migrated to its "
            "latest version (include.adapters.ledger.migrate.upgrade)?"
        ) from error


def _connect(path: Path) -> sqlite3.Connection:
    # An empty ledger in the place of one that is away would only hide that.
    uri = f"{path.as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)


def _ping_after_rest(engine: Engine) -> None:
    """Ask kept connections whether they live, but not between two changes of one writer."""

    @event.listens_for(engine, "checkin")
    def note(_: object, entry: ConnectionPoolEntry) -> None:
        entry.info["used_at"] = monotonic()

    @event.listens_for(engine, "checkout")
    def check(connection: DBAPIConnection, entry: ConnectionPoolEntry, _: object) -> None:
        if monotonic() - entry.info.get("used_at", inf) < _REST_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError("the server closed the connection") from error


def _follow(engine: Engine, path: Path) -> None:
    """Connect anew where the file was moved or replaced: kept connections would go on with the old one."""

    @event.listens_for(engine, "connect")
    def note(_: object, entry: ConnectionPoolEntry) -> None:
        entry.info["file"] = _file_id(path)

    @event.listens_for(engine, "checkout")
    def check(_: object, entry: ConnectionPoolEntry, __: object) -> None:
        if entry.info["file"] != _file_id(path):
            raise DisconnectionError(f"{path} is not the file it was")


def _file_id(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _prepare_sqlite(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's own type
    # The driver's own transaction control begins too late; BEGIN is sent by _begin_sqlite instead.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
