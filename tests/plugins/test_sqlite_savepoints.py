"""A savepoint of Airflow's SQLite database holds the write lock from its first read."""

import sqlite3
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, text

from include.config.settings import REPOSITORY_ROOT


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Airflow's engine on a database in WAL mode, with the plugin loaded."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.syspath_prepend(str(REPOSITORY_ROOT / "plugins"))
    plugin = import_module("sqlite_savepoints")
    plugin.SqliteSavepointsPlugin.on_load()
    with sqlite3.connect(tmp_path / "airflow.db") as created:
        created.execute("PRAGMA journal_mode = WAL")
        created.execute("CREATE TABLE runs (day TEXT)")
    created.close()
    found = create_engine(f"sqlite:///{tmp_path / 'airflow.db'}")
    monkeypatch.setattr("airflow.settings.engine", found)
    yield found
    found.dispose()
    event.remove(Engine, "savepoint", plugin.begin_to_write)
    sys.modules.pop("sqlite_savepoints", None)


def test_nobody_writes_between_a_savepoints_read_and_its_write(tmp_path: Path, engine: Engine) -> None:
    """Another writer has to wait, so that the write that follows the read is not refused."""
    other = sqlite3.connect(tmp_path / "airflow.db", timeout=0)
    with engine.connect() as connection:
        for day in ("2017-06-01", "2017-06-02"):
            with connection.begin_nested():
                connection.execute(text("SELECT count(*) FROM runs")).all()
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    other.execute("INSERT INTO runs VALUES ('another')")
                connection.execute(text("INSERT INTO runs VALUES (:day)"), {"day": day})
        connection.commit()
    assert [("2017-06-01",), ("2017-06-02",)] == other.execute("SELECT day FROM runs").fetchall()
    other.close()


def test_a_failed_loop_leaves_nothing(tmp_path: Path, engine: Engine) -> None:
    """What was written under savepoints before goes with the transaction."""
    with engine.connect() as connection:
        with connection.begin_nested():
            connection.execute(text("INSERT INTO runs VALUES ('2017-06-01')"))
        connection.rollback()
    other = sqlite3.connect(tmp_path / "airflow.db")
    assert [] == other.execute("SELECT day FROM runs").fetchall()
    other.close()
