"""Processes for killing: each is forked from one that has imported everything and done nothing."""

import os
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from tests.faults.effects import Effects
from tests.faults.ramps import PREPARED, RAMPS
from tests.faults.stages import STAGES, Home, World, lasting, prepare, prepare_shop, settle

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        "pytest",
        __name__,
        "boto3",
        "feast.infra.offline_stores.duckdb",
        "feast.infra.passthrough_provider",
        "feast.infra.registry.file",
        "feast.repo_operations",
        "grpc._channel",
        "ibis.backends.duckdb",
        "mlflow.store.model_registry.sqlalchemy_workspace_store",
        "mlflow.store.tracking.sqlalchemy_workspace_store",
        "torch._inductor",
    ]
)


_STEPS = STAGES | {name: step for way in RAMPS.values() for name, step in way.items()}
_FIRST = {"freeze": prepare_shop, **PREPARED}


def work(answer: Connection, task: Callable[..., Any], *arguments: Any) -> None:
    """Run a task in this process and send what it returns."""
    answer.send(task(*arguments))
    answer.close()
    os._exit(0)  # no cleanup, as little as a killed one has


def in_a_process(task: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
    """Run a task in a process of its own; return its exit code and what it returned, None if killed."""
    ours, theirs = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=work, args=(theirs, task, *arguments))
    process.start()
    theirs.close()
    try:
        found = ours.recv()
    except EOFError:
        found = None
    process.join()
    return process.exitcode, found


def succeeding(task: Callable[..., Any], *arguments: Any) -> Any:
    """Run a task in a process of its own that ends well."""
    code, found = in_a_process(task, *arguments)
    assert 0 == code
    return found


def run(fields: dict[str, Any], stage: str, kill_at: int | None = None) -> list[str]:
    """Run a stage, killed at a moment if one is given; return its moments."""
    effects = Effects(fields["home"], kill_at)
    effects.hook()
    _STEPS[stage](World(Home(**fields)))
    return effects.moments


def begin(fields: dict[str, Any], first: str) -> None:
    """Make the world that the first stage finds."""
    _FIRST.get(first, prepare)(World(Home(**fields)))


def outcome(fields: dict[str, Any], stage: str, again: bool) -> dict[str, Any]:
    """Run a stage again where asked to, reconcile, and return what lasts."""
    world = World(Home(**fields))
    if again:
        _STEPS[stage](world)
    if stage != "freeze":
        settle(world)
    return lasting(world)
