"""Starting and stopping real processes: MLflow and Triton here; the whole platform in the end-to-end test."""

import os
import signal
import socket

import pytest

from include.commands import processes
from include.commands.processes import (
    PROCESSES,
    is_running,
    log_path,
    processes_of,
    start,
    stop,
    wait_until_ready,
)
from include.commands.stack import is_alive, read_record, survivors
from include.config.settings import Settings
from include.contracts.errors import PlatformError

NAMES = ("triton",)


@pytest.fixture
def settings(tmp_path):
    """Return settings with a home and ports of their own; what runs there is stopped afterwards."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    grpc_port, metrics_port = (item.getsockname()[1] for item in sockets)
    for item in sockets:
        item.close()
    found = Settings(home=tmp_path, triton_grpc_port=grpc_port, triton_metrics_port=metrics_port)
    yield found
    stop(found, say=list)


def test_a_started_stack_gets_ready_and_stops_without_a_trace(settings):
    """Ready is said; a second start is refused; after stop no process of any session is left."""
    said = []
    stack = start(settings, NAMES)
    wait_until_ready(settings, NAMES, say=said.append)

    with pytest.raises(PlatformError, match="already running"):
        start(settings, NAMES)
    assert is_running(settings)
    running = survivors(stack)
    stopped = stop(settings, say=list)

    assert len(said) == 1
    assert said[0].startswith("Triton is ready after ")
    assert {"triton", "honcho"} == {item.name for item in stack.sessions}
    assert len(running) >= 4, "honcho, its child, the supervisor, Triton"
    assert stopped is True
    assert survivors(stack) == []
    assert read_record(settings) is None
    assert not is_running(settings)
    assert stop(settings, say=list) is False


def test_orphans_of_a_killed_honcho_are_stopped(settings):
    """Honcho gets kill -9: the rest lives on, a new start is refused, and stop finds all of it."""
    stack = start(settings, NAMES)
    wait_until_ready(settings, NAMES, say=list)
    os.kill(stack.supervisor.pid, signal.SIGKILL)
    os.waitpid(stack.supervisor.pid, 0)

    orphans = survivors(stack)
    with pytest.raises(PlatformError, match="processes of an earlier start still run"):
        start(settings, NAMES)
    stop(settings, say=list)

    assert orphans
    assert survivors(stack) == []


def test_a_process_that_ends_is_named_with_its_last_words(settings, monkeypatch, tmp_path):
    """One process of the Procfile fails at once: waiting ends with its name and what it said."""
    procfile = tmp_path / "Procfile"
    procfile.write_text("triton: echo the disk is full; exit 3\n")
    monkeypatch.setattr(processes, "PROCFILE", procfile)

    with pytest.raises(PlatformError, match="the disk is full"):
        start_and_wait(settings)

    stop(settings, say=list)
    assert "the disk is full" in log_path(settings).read_text()


def start_and_wait(settings):
    """Start Triton and wait for it."""
    start(settings, NAMES)
    wait_until_ready(settings, NAMES, say=list)


def test_nothing_starts_when_a_port_is_taken(settings):
    """The taken port is named; no process, no record, no secret, no log."""
    with (
        socket.create_server(("127.0.0.1", settings.triton_grpc_port)),
        pytest.raises(PlatformError, match=rf"port {settings.triton_grpc_port} \(Triton\) is in use by"),
    ):
        start(settings, NAMES)

    assert list(settings.home.iterdir()) == []


def test_a_recycled_pid_is_not_ours(settings):
    """The pid is taken by a later process: it is neither alive to us nor would it be killed."""
    stack = start(settings, NAMES)
    wait_until_ready(settings, NAMES, say=list)
    stop(settings, say=list)
    recycled = processes.Started("triton", os.getpid(), 1)

    assert not is_alive(recycled)
    assert survivors(processes.Stack(stack.boot, (recycled,))) == []


def test_the_procfile_names_every_process():
    """Airflow's four, MLflow, Triton, the gateway and the reconciler; a worker where tasks are queued."""
    airflow = ("api-server", "scheduler", "dag-processor", "triggerer")
    others = ("mlflow", "triton", "gateway", "reconciler")
    queued = Settings(airflow_database_url="postgresql://h/airflow", celery_broker_url="redis://h/0")
    assert (*airflow, *others) == processes_of(Settings())
    assert (*airflow, "worker", *others) == processes_of(queued) == PROCESSES
