"""Which engine the settings give, and what is loaded for it."""

import subprocess
import sys

import pytest

from include.adapters.duckdb_engine import DuckDBEngine
from include.adapters.engines import open_engine
from include.adapters.spark import environment
from include.config.settings import REPOSITORY_ROOT, EngineName, Settings
from include.contracts.errors import PlatformError


def test_duckdb_is_the_engine_unless_told():
    """One machine needs no setting."""
    engine = open_engine(Settings())
    assert isinstance(engine, DuckDBEngine)
    assert [(3,)] == engine.rows("SELECT 1 + 2")
    engine.close()


def test_nothing_of_spark_is_loaded_unless_told():
    """Neither Spark nor what translates for it, by whatever uses an engine."""
    script = (
        "import sys; import include.data.labels; from include.adapters.engines import open_engine; "
        "from include.config.settings import Settings; open_engine(Settings()).close(); print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY_ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"duckdb"} == {name.partition(".")[0] for name in loaded} & {
        "duckdb",
        "pyspark",
        "py4j",
        "sqlglot",
    }


def test_without_spark_its_engine_says_how_to_get_it(monkeypatch, tmp_path):
    """The command is named."""
    monkeypatch.setattr(environment, "PACKAGES", tmp_path)
    monkeypatch.setattr(environment, "find_spec", lambda _: None)
    with pytest.raises(PlatformError, match="make setup-spark"):
        open_engine(Settings(engine=EngineName.SPARK))


def test_without_java_spark_says_what_to_install(monkeypatch, tmp_path):
    """Debian's package is named; JAVA_HOME is believed."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(environment, "_JAVA_FOLDERS", tmp_path)
    with pytest.raises(PlatformError, match="openjdk-17-jre-headless"):
        environment.java_home()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    assert tmp_path / "java" == environment.java_home()
