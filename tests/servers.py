"""Programs that tests run beside the platform: installed where they are missing, else the test is skipped."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from include.commands.environment import process_environment
from include.commands.services import (
    find_server,
    free_port,
    postgres_program,
    postgres_server,
    redis_server,
    running_server,
)
from include.config.settings import Settings
from include.contracts.errors import PlatformError


def needed(name: str, package: str) -> str:
    """Return a program's path, installing its Debian package as root; skip the test if it cannot be had."""
    try:
        return find_server(name, package, install=os.geteuid() == 0)
    except PlatformError as error:
        pytest.skip(str(error))


@contextmanager
def running_redis() -> Iterator[str]:
    """Run an empty Redis on loopback; yield its URL."""
    needed("redis-server", "redis-server")
    with redis_server() as url:
        yield url


@contextmanager
def running_mlflow(database_url: str, artefacts_url: str, folder: Path) -> Iterator[str]:
    """Run MLflow's server as `Procfile` does, on a database and with artefacts elsewhere; yield its URL."""
    port = free_port()
    environment = process_environment(Settings(mlflow_port=port, home=folder)) | {
        "MLFLOW_BACKEND_STORE_URI": database_url,
        "MLFLOW_ARTIFACTS_DESTINATION": artefacts_url,
    }
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with running_server(
        [*command, "--serve-artifacts"],
        folder / "mlflow.log",
        port,
        is_ready=lambda: _answers(f"http://127.0.0.1:{port}/health"),
        environment=environment,
    ):
        yield f"http://127.0.0.1:{port}"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


@contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[str]:
    """Run an empty PostgreSQL on loopback; yield its superuser's URL.

    Args:
        durable: its commits wait for the disk.
    """
    try:
        postgres_program("initdb", install=os.geteuid() == 0)
    except PlatformError as error:
        pytest.skip(str(error))
    with postgres_server(durable=durable) as url:
        yield url
