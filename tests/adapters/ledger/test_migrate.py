import sqlite3
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from include.adapters.ledger.engine import open_engine, writing
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import MIGRATIONS, upgrade
from include.adapters.ledger.tables import metadata
from include.contracts.alerts import AlertContent
from include.contracts.errors import LedgerError


def test_migrations_make_the_tables(url: str) -> None:
    """What the migrations build is what the code reads: nothing is left to migrate."""
    engine = open_engine(url)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert [] == differences


def test_processes_may_migrate_at_once(tmp_path: Path) -> None:
    """Four processes that find no ledger make one."""
    url = f"sqlite:///{tmp_path / 'new' / 'ledger.sqlite3'}"
    with ProcessPoolExecutor(4, mp_context=get_context("fork")) as pool:
        list(pool.map(upgrade, [url] * 4))
    ledger = Ledger(url)
    assert ledger.verify() == 0
    ledger.close()


def test_ledger_is_in_wal_mode(url: str) -> None:
    """Readers and the writer do not wait for each other."""
    raw = sqlite3.connect(url.removeprefix("sqlite:///"))
    assert ("wal",) == raw.execute("PRAGMA journal_mode").fetchone()
    raw.close()


def test_absent_ledger_is_told_of(tmp_path: Path) -> None:
    """Reading before the ledger was made says so and names it."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    with pytest.raises(LedgerError, match=r"ledger\.sqlite3 cannot be used.*migrated"):
        ledger.snapshot_id()
    ledger.close()


def lead_back(url: str, revision: str) -> None:
    """Undo the migrations after a revision, and do them again."""
    engine = open_engine(url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
        command.upgrade(config, "head")
    engine.dispose()


def test_migrations_lead_back(url: str) -> None:
    """Every migration can be undone, and done again, down to the first."""
    lead_back(url, "0001")
    engine = open_engine(url)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert [] == differences


def test_alerts_of_old_are_told_from_their_events(url: str, ledger: Ledger) -> None:
    """Who answered an alert before there were columns for it stands in them afterwards."""
    alert = ledger.raise_alert(AlertContent(kind="data_quality", subject="view:a", message="stale"), "system")
    ledger.acknowledge_alert(alert.alert_id, "olga", "on it")
    closed = ledger.resolve_alert(alert.alert_id, "uma", "mended")
    ledger.close()
    lead_back(url, "0005")
    assert (closed,) == ledger.alerts()
    assert ledger.verify() == 3
