"""Every stage killed at every moment that matters, and rerun: as if nothing had happened.

Each killed run and each rerun is a process of its own, forked from one that has imported everything. `make test`
kills each stage a few times; `make test-faults` at every moment there is.
"""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from include.adapters.triton_control import TritonControl
from tests.faults.effects import Effects
from tests.faults.stages import STAGES, Home, World, lasting, prepare, prepare_shop, settle
from tests.triton import running_triton, triton_ports

SAMPLE = 3
"""Kills of a stage in `make test`."""

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.faults.stages", "mlflow.store.tracking.sqlalchemy_store"])


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
    STAGES[stage](World(Home(**fields)))
    return effects.moments


def begin(fields: dict[str, Any], first: str) -> None:
    """Make the world that the first stage finds."""
    (prepare_shop if first == "freeze" else prepare)(World(Home(**fields)))


def outcome(fields: dict[str, Any], stage: str, again: bool) -> dict[str, Any]:
    """Run a stage again where asked to, reconcile, and return what lasts."""
    world = World(Home(**fields))
    if again:
        STAGES[stage](world)
    if stage != "freeze":
        settle(world)
    return lasting(world)


@dataclass
class Line:
    """Stages one after the other in one home, and the home as each of them found it."""

    fields: dict[str, Any]
    saved: Path
    stages: tuple[str, ...]
    triton: TritonControl | None = None
    loaded: dict[str, set[str]] = field(default_factory=dict)
    moments: dict[str, list[str]] = field(default_factory=dict)
    expected: dict[str, dict[str, Any]] = field(default_factory=dict)

    def reach(self, stage: str) -> None:
        """Run all stages up to this one, unharmed, and keep what they found, did and left."""
        if not self.loaded:
            succeeding(begin, self.fields, self.stages[0])
            self._save(self.stages[0])
        for place, name in enumerate(self.stages[: self.stages.index(stage) + 1]):
            if name not in self.expected:
                self.restore(name)
                self.moments[name] = succeeding(run, self.fields, name)
                if place + 1 < len(self.stages):
                    self._save(self.stages[place + 1])
                self.expected[name] = succeeding(outcome, self.fields, name, False)

    def restore(self, stage: str) -> None:
        """Bring home and Triton to where a stage finds them."""
        for entry in self._entries(self.fields["home"]):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        shutil.copytree(self.saved / stage, self.fields["home"], dirs_exist_ok=True)
        if self.triton is None:
            return
        for name in self.triton.loaded() - self.loaded[stage]:
            self.triton.unload(name)
        for name in self.loaded[stage] - self.triton.loaded():
            self.triton.load(name)

    def _save(self, stage: str) -> None:
        self.loaded[stage] = set() if self.triton is None else self.triton.loaded()
        (self.saved / stage).mkdir(parents=True)
        for entry in self._entries(self.fields["home"]):
            copy = shutil.copytree if entry.is_dir() else shutil.copy2
            copy(entry, self.saved / stage / entry.name)

    @staticmethod
    def _entries(home: Path) -> list[Path]:
        return [entry for entry in home.iterdir() if entry.name != "triton.log"]


@pytest.fixture(scope="module")
def freezing(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """A shop whose training set is to be frozen."""
    root = tmp_path_factory.mktemp("freezing")
    sources = {name: str(root / f"{name}.parquet") for name in ("purchases", "products", "demographics")}
    (root / "home").mkdir()
    (root / "given.json").write_text("{}")
    fields = {"home": root / "home", "model_folders": (root / "models",), "sources": sources}
    return Line(fields, root / "saved", ("freeze",))


@pytest.fixture(scope="module")
def releasing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A model in production whose next version is on its way, with a real Triton."""
    root = tmp_path_factory.mktemp("releasing")
    fields = {"home": root / "home", "model_folders": (root / "models",), **triton_ports()}
    with running_triton(Home(**fields)) as control:
        yield Line(fields, root / "saved", tuple(name for name in STAGES if name != "freeze"), control)


def kill_and_rerun(request: pytest.FixtureRequest, stage: str, most: int | None) -> None:
    """Kill a stage at its moments, `most` of them if given, and compare each rerun with the unharmed run."""
    line: Line = request.getfixturevalue("freezing" if stage == "freeze" else "releasing")
    line.reach(stage)
    count = len(line.moments[stage])
    assert count
    step = 1 if most is None else -(-count // most)
    for place in range(1, count + 1, step):
        line.restore(stage)
        moment = line.moments[stage][place - 1]
        code, _ = in_a_process(run, line.fields, stage, place)
        assert -signal.SIGKILL == code, moment
        assert line.expected[stage] == succeeding(outcome, line.fields, stage, True), f"killed {moment}"


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_stage_is_completed_by_its_rerun(request, stage):
    """Killed at a few moments: one version, one release, one route, one number in MLflow, nothing left over."""
    kill_and_rerun(request, stage, SAMPLE)


@pytest.mark.faults
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_may_be_killed_at_any_moment(request, stage):
    """The same before and after every durable effect the stage has."""
    kill_and_rerun(request, stage, None)
