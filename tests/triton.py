"""A real Triton for tests."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from include.adapters.triton_control import TritonControl
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.errors import ServingError

START_SECONDS = 60.0


def triton_ports() -> dict[str, int]:
    """Return settings for Triton's two ports that nobody listens on."""
    names = ("triton_grpc_port", "triton_metrics_port")
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in names]
        return {name: int(each.getsockname()[1]) for name, each in zip(names, sockets, strict=True)}


@contextmanager
def running_triton(settings: Settings) -> Iterator[TritonControl]:
    """Start Triton under its supervisor, with a home and ports, and give its control."""
    environment = {
        **os.environ,
        "NINETY_HOME": str(settings.home),
        "NINETY_TRITON_GRPC_PORT": str(settings.triton_grpc_port),
        "NINETY_TRITON_METRICS_PORT": str(settings.triton_metrics_port),
    }
    settings.home.mkdir(parents=True, exist_ok=True)
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
