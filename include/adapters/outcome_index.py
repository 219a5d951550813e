"""Which outcomes are known: a digest by id on disk, so that a long history takes no memory."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path

from include.contracts.errors import LogWriteError

_log = getLogger(__name__)

_SCHEMA = "CREATE TABLE IF NOT EXISTS outcome (id TEXT PRIMARY KEY, digest BLOB NOT NULL) WITHOUT ROWID"
_FIND = "SELECT digest FROM outcome WHERE id = ?"
_INSERT = "INSERT OR IGNORE INTO outcome VALUES (?, ?)"


class OutcomeIndex:
    """One process's index; not for use by several threads at once."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = _opened(path)
        except sqlite3.DatabaseError as error:
            _log.error("outcome index is rebuilt", extra={"fields": {"error": str(error)}})
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._connection = _opened(path)

    @property
    def is_whole(self) -> bool:
        """Whether everything that was logged before this process is in it."""
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        return bool(version)

    @is_whole.setter
    def is_whole(self, value: bool) -> None:
        self._connection.execute(f"PRAGMA user_version = {int(value)}")

    def find(self, outcome_id: str) -> bytes | None:
        """Return the digest of a known outcome.

        Raises:
            LogWriteError: the index cannot be read.
        """
        with _translated():
            row = self._connection.execute(_FIND, (outcome_id,)).fetchone()
        return row[0] if row else None

    def add(self, known: Iterable[tuple[str, bytes]]) -> None:
        """Add ids with their digests; those that are there stay as they are.

        Raises:
            LogWriteError: the index cannot be written.
        """
        with self.adding(known):
            pass

    @contextmanager
    def adding(self, known: Iterable[tuple[str, bytes]]) -> Iterator[None]:
        """Add ids with their digests, unless the block raises.

        Raises:
            LogWriteError: the index cannot be written.
        """
        with _translated(), self._connection:
            self._connection.executemany(_INSERT, known)
            yield

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _opened(path: Path) -> sqlite3.Connection:
    # Built in one thread and used in another, never in two at once.
    connection = sqlite3.connect(path, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_SCHEMA)
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise LogWriteError(f"the index of outcomes cannot be used: {error}") from error
