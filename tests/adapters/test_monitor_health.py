from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.measurements import MeasurementStore
from include.adapters.monitor_health import monitor_health
from include.config.models import model_folder
from include.config.settings import REPOSITORY_ROOT
from include.contracts.measurements import Monitor, MonitorRun, Verdict
from include.contracts.monitor_health import Health
from tests.adapters.ledger.changes import register, route_to

SERVED = datetime(2026, 3, 2, 12, tzinfo=UTC)
CONTRACT = model_folder((REPOSITORY_ROOT / "include" / "models",), "churn").contract


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Give the URL of a migrated ledger."""
    address = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    upgrade(address)
    return address


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """Give a ledger whose clock stands still."""
    opened = Ledger(url, clock=lambda: SERVED)
    yield opened
    opened.close()


@pytest.fixture
def store(url: str) -> Iterator[MeasurementStore]:
    """Give the store in the same database."""
    opened = MeasurementStore(url)
    yield opened
    opened.close()


def test_a_model_that_is_not_served_has_no_dead_monitor(ledger: Ledger, store: MeasurementStore) -> None:
    """Nothing is to be looked at before the first release, nor after retirement."""
    assert monitor_health(ledger, store, CONTRACT, SERVED) == ()
    register(ledger)
    ledger.change_route(RouteUpdate(route_to("1.0.0"), 0), actor="olga", reason="first")
    assert monitor_health(ledger, store, CONTRACT, SERVED) != ()
    ledger.retire_model("churn", actor="olga", reason="replaced")
    assert monitor_health(ledger, store, CONTRACT, SERVED) == ()


def test_silence_is_told_from_what_was_recorded(ledger: Ledger, store: MeasurementStore) -> None:
    """The latest run counts; where there was none, the first release does."""
    register(ledger)
    ledger.change_route(RouteUpdate(route_to("1.0.0"), 0), actor="olga", reason="first")

    def health(minutes: int) -> Health:
        found = monitor_health(ledger, store, CONTRACT, SERVED + timedelta(minutes=minutes))
        return {each.monitor: each.health for each in found}[Monitor.OBJECTIVES]

    assert (Health.NOT_DUE, Health.SILENT) == (health(9), health(10))
    looked = SERVED + timedelta(minutes=10)
    run = MonitorRun(
        model="churn",
        monitor=Monitor.OBJECTIVES,
        as_of=looked,
        recorded_at=looked,
        verdict=Verdict.OK,
        summary="within the budget",
    )
    store.record(run, [])
    assert (Health.WELL, Health.SILENT) == (health(19), health(20))
