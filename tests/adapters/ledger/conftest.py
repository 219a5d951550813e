from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Give the URL of a fresh, migrated ledger."""
    address = f"sqlite:///{tmp_path / 'ledger' / 'ledger.sqlite3'}"
    upgrade(address)
    return address


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """Give a ledger whose clock moves on one minute at every change."""
    minutes = count()
    opened = Ledger(url, clock=lambda: START + timedelta(minutes=next(minutes)))
    yield opened
    opened.close()
