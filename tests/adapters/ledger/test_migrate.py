from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from include.adapters.ledger.engine import open_engine
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import downgrade, upgrade
from include.adapters.ledger.tables import metadata
from include.contracts.alerts import AlertContent
from include.contracts.errors import LedgerError
from tests.adapters.ledger.changes import register
from tests.databases import new_database


def test_migrations_make_the_tables(url: str) -> None:
    """What the migrations build is what the code reads: nothing is left to migrate."""
    engine = open_engine(url)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert [] == differences


def test_down_and_up_again(url: str) -> None:
    """Every migration can be undone, down to nothing, and done again; then a ledger can be written."""
    downgrade(url, "0001")
    downgrade(url, "base")
    engine = open_engine(url)
    assert ["alembic_version"] == inspect(engine).get_table_names()
    upgrade(url)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    ledger = Ledger(url)
    register(ledger)
    assert ([], 1) == (differences, ledger.verify())
    ledger.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of what is no ledger yet."""
    if request.param == "postgresql":
        return new_database(request.getfixturevalue("postgres"))
    return f"sqlite:///{tmp_path / 'new' / 'ledger.sqlite3'}"


def test_processes_may_migrate_at_once(empty: str) -> None:
    """Four processes that find no ledger make one."""
    with ProcessPoolExecutor(4, mp_context=get_context("fork")) as pool:
        list(pool.map(upgrade, [empty] * 4))
    ledger = Ledger(empty)
    assert ledger.verify() == 0
    ledger.close()


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_ledger_is_in_wal_mode(url: str) -> None:
    """Readers and the writer do not wait for each other."""
    engine = open_engine(url)
    with engine.connect() as connection:
        assert "wal" == connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    engine.dispose()


def test_absent_ledger_is_told_of(tmp_path: Path) -> None:
    """Reading before the ledger was made says so and names it."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    with pytest.raises(LedgerError, match=r"ledger\.sqlite3 cannot be used.*migrated"):
        ledger.snapshot_id()
    ledger.close()


def test_alerts_of_old_are_told_from_their_events(url: str, ledger: Ledger) -> None:
    """Who answered an alert before there were columns for it stands in them afterwards."""
    alert = ledger.raise_alert(AlertContent(kind="data_quality", subject="view:a", message="stale"), "system")
    ledger.acknowledge_alert(alert.alert_id, "olga", "on it")
    closed = ledger.resolve_alert(alert.alert_id, "uma", "mended")
    ledger.close()
    downgrade(url, "0005")
    upgrade(url)
    assert closed == ledger.alert(alert.alert_id)
    assert ledger.verify() == 3
