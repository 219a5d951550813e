"""One running platform for the whole session: its own folder, its own ports, every part real."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from include.commands import processes
from include.commands.platform import Platform, Replay, bring_to_production
from include.commands.progress import Progress
from include.commands.stack import read_record, survivors
from include.config.settings import REPOSITORY_ROOT, Settings

STRICT = "strict"
"""A copy of churn that no network can satisfy."""


def free_ports(count: int) -> list[int]:
    """Return ports nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [item.getsockname()[1] for item in sockets]


def strict_model(folder: Path) -> Path:
    """Write a model folder whose gate asks for the impossible; return the folder it lies in."""
    source = REPOSITORY_ROOT / "include" / "models" / "churn"
    target = folder / STRICT
    target.mkdir(parents=True)
    for name in ("label.sql", "network.py", "runbook.md"):
        (target / name).write_bytes((source / name).read_bytes())
    contract = yaml.safe_load((source / "contract.yaml").read_text(encoding="utf-8"))
    contract["name"] = STRICT
    contract["features"]["service"] = f"{STRICT}_v1"
    contract["gates"]["thresholds"] = [{"metric": "roc_auc", "minimum": 0.99}]
    contract["training"]["hyperparameters"]["epochs"] = 2
    contract["training"]["history"] = "126d"
    (target / "contract.yaml").write_text(yaml.safe_dump(contract), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform with churn in production."""
    home = tmp_path_factory.mktemp("platform")
    folders = (REPOSITORY_ROOT / "include" / "models", strict_model(home / "models"))
    with in_production(home, folders) as found:
        yield found


@contextlib.contextmanager
def in_production(home: Path, model_folders: tuple[Path, ...]) -> Iterator[Platform]:
    """Bring churn to production on a platform of its own; afterwards nothing of it may be left running."""
    ports = free_ports(5)
    settings = Settings(
        home=home / "var",
        airflow_port=ports[0],
        mlflow_port=ports[1],
        gateway_port=ports[2],
        triton_grpc_port=ports[3],
        triton_metrics_port=ports[4],
        model_folders=model_folders,
        replay=True,
    )
    platform = Platform(settings, "churn", Progress(5))
    try:
        with platform.progress.step("start every process"):
            platform.start()
        stack = read_record(settings)
        bring_to_production(platform, Replay(), "approver")
        yield platform
    finally:
        processes.stop(settings)
    assert stack is not None
    assert [] == survivors(stack)
