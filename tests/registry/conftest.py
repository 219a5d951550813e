from collections.abc import Iterator
from pathlib import Path

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.tracking import Tracking
from include.config.models import ModelFolder
from include.config.settings import Settings
from tests.registry.candidates import model_folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give settings whose home is the test's own."""
    return Settings(home=tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    """Give a model folder."""
    return model_folder(tmp_path / "models")


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    """Give a fresh ledger."""
    upgrade(settings.ledger_uri)
    opened = Ledger(settings.ledger_uri)
    yield opened
    opened.close()


@pytest.fixture
def tracking(tmp_path: Path) -> Tracking:
    """Give a real MLflow store, in SQLite."""
    return Tracking(Settings(), uri=f"sqlite:///{tmp_path / 'mlflow.sqlite3'}")


@pytest.fixture
def down(monkeypatch: pytest.MonkeyPatch) -> Tracking:
    """Give an MLflow that does not run, and a client that does not ask twice."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return Tracking(Settings(), uri="http://127.0.0.1:9")
