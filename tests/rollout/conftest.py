import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.tracking import Tracking
from include.adapters.triton_control import TritonControl
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.errors import ServingError
from tests.rollout.platform import Platform

START_SECONDS = 60.0


def _free_ports() -> tuple[int, int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        first, second = (int(item.getsockname()[1]) for item in sockets)
    return first, second


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Give settings with a home and ports of the module's own."""
    grpc_port, metrics_port = _free_ports()
    return Settings(
        home=tmp_path_factory.mktemp("home"), triton_grpc_port=grpc_port, triton_metrics_port=metrics_port
    )


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
    environment = {
        **os.environ,
        "NINETY_HOME": str(settings.home),
        "NINETY_TRITON_GRPC_PORT": str(settings.triton_grpc_port),
        "NINETY_TRITON_METRICS_PORT": str(settings.triton_metrics_port),
    }
    with (settings.home / "triton.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.triton.server"],
            cwd=REPOSITORY_ROOT,
            env=environment,
            stdout=log,
            stderr=log,
        )
    control = TritonControl(settings.triton_endpoint)
    try:
        _wait(control, settings.home / "triton.log")
        yield control
    finally:
        control.close()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _wait(control: TritonControl, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(ServingError):
            control.loaded()
            return
        time.sleep(0.1)
    pytest.fail(f"Triton did not start within {START_SECONDS:g} s; it said:\n{log.read_text()}")


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
