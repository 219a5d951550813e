"""Transactions on the ledger: what every subject of it is built on."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime

from sqlalchemy import Connection

from include.adapters.ledger.chain import Transaction, stored_events, stored_head, verify_chain
from include.adapters.ledger.engine import open_engine, reading, translating, writing
from include.adapters.ledger.state import verify_state


def utc_now() -> datetime:
    """Return the wall time."""
    return datetime.now(UTC)


class Journal:
    """A database with a chain in it. Nothing is connected before the first call."""

    def __init__(self, url: str, clock: Callable[[], datetime] = utc_now) -> None:
        self._engine = open_engine(url)
        self._clock = clock

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def now(self) -> datetime:
        """Return the wall time by which changes are recorded."""
        return self._clock()

    def verify(self) -> int:
        """Prove the chain, then the state against it, and return how many events there are.

        Raises:
            ChainError: an event was altered, removed or moved, or a row says otherwise than the events; names
                the first bad one.
        """
        with self._reading() as connection:
            with closing(stored_events(connection)) as rows:
                count = verify_chain(rows, stored_head(connection))
            verify_state(connection)
            return count

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with translating(self._engine), reading(self._engine) as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        with translating(self._engine), writing(self._engine, commits_early=True) as connection:
            yield Transaction(connection, self._clock())
