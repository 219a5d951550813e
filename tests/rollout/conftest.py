from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.tracking import Tracking
from include.adapters.triton_control import TritonControl
from include.config.settings import Settings
from tests.rollout.platform import Platform
from tests.triton import running_triton, triton_ports


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Give settings with a home and ports of the module's own."""
    return Settings(home=tmp_path_factory.mktemp("home"), **triton_ports())


@pytest.fixture(scope="module")
def ledger(settings: Settings) -> Iterator[Ledger]:
    """Give a ledger."""
    upgrade(settings.ledger_uri)
    opened = Ledger(settings.ledger_uri)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def triton(settings: Settings) -> Iterator[TritonControl]:
    """Start the real Triton and give its control."""
    with running_triton(settings) as control:
        yield control


_NUMBERS = count(1)


@pytest.fixture
def platform(
    settings: Settings,
    ledger: Ledger,
    triton: TritonControl,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Platform:
    """Give the platform with a model that only this test has; MLflow does not run."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracking = Tracking(settings, uri="http://127.0.0.1:9")
    return Platform(settings, ledger, triton, tracking, tmp_path, f"churn_{next(_NUMBERS)}")
