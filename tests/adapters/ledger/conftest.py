from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from include.adapters.ledger.ledger import Ledger

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def url(ledger_url: str) -> str:
    """Give the URL of a fresh, migrated ledger, in each database there is code for."""
    return ledger_url


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """Give a ledger whose clock moves on one minute at every change."""
    minutes = count()
    opened = Ledger(url, clock=lambda: START + timedelta(minutes=next(minutes)))
    yield opened
    opened.close()
