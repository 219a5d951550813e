"""What a writer was told is kept survives the death of PostgreSQL in that moment."""

import os
import signal
import time

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from include.adapters.ledger.ledger import Ledger
from tests.adapters.ledger.changes import register
from tests.databases import new_ledger
from tests.servers import running_postgres

pytestmark = pytest.mark.services


class Victim:
    """A process of a server that can be killed: PostgreSQL then ends all others and forgets its memory."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url)
        self._find()

    def kill(self) -> None:
        """Kill it, and wait until it has recovered from its log on disk."""
        os.kill(self._process, signal.SIGKILL)
        self._engine.dispose()
        deadline = time.monotonic() + 60
        while not self._recovered():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def close(self) -> None:
        """Close the connection that is the victim."""
        self._connection.close()
        self._engine.dispose()

    def _recovered(self) -> bool:
        try:
            self._find()
        except OperationalError:
            return False
        return True

    def _find(self) -> None:
        self._connection = self._engine.connect()
        self._process: int = self._connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()


def test_what_was_told_to_be_kept_is_kept() -> None:
    """Killed right after each answer, the server has every event, and the chain goes on from there."""
    with running_postgres(durable=True) as server:
        url = new_ledger(server)
        victim, ledger = Victim(url), Ledger(url)
        for number in range(1, 4):
            register(ledger, f"{number}.0.0")
            victim.kill()
            ledger.close()  # its connections died with the server
            assert number == ledger.verify()
        ledger.close()
        victim.close()
