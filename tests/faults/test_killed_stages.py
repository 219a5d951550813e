"""Every stage killed at every moment that matters, and rerun: as if nothing had happened.

Each killed run and each rerun is a process of its own, forked from one that has imported everything.
"""

import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from include.adapters.triton_control import TritonControl
from include.contracts.versions import triton_name
from tests.faults.processes import begin, in_a_process, outcome, run, succeeding
from tests.faults.ramps import RAMPS
from tests.faults.stages import SECOND, STAGES, Home
from tests.triton import running_triton, triton_ports


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
        shutil.rmtree(self.saved / stage, ignore_errors=True)
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


@pytest.fixture(scope="module", params=RAMPS)
def ramping(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A model in production whose next version is loaded and about to ramp, each way, with a real Triton."""
    root = tmp_path_factory.mktemp("ramping")
    fields = {
        "home": root / "home",
        "model_folders": (root / "models",),
        "replay": True,
        **triton_ports(),
    }
    with running_triton(Home(**fields)) as control:
        yield Line(fields, root / "saved", tuple(RAMPS[request.param]), control)


def reached(request: pytest.FixtureRequest, stage: str) -> Line:
    """Return the line of a stage, run up to it."""
    line: Line = request.getfixturevalue("freezing" if stage == "freeze" else "releasing")
    line.reach(stage)
    return line


def kill(line: Line, stage: str, place: int) -> None:
    """Have a stage killed at a moment."""
    line.restore(stage)
    code, _ = in_a_process(run, line.fields, stage, place)
    assert -signal.SIGKILL == code, line.moments[stage][place - 1]


def check_rerun(line: Line, stage: str, place: int) -> None:
    """Compare what a rerun makes of a killed stage with the unharmed run."""
    left = succeeding(outcome, line.fields, stage, True)
    assert line.expected[stage] == left, f"killed {line.moments[stage][place - 1]}"


@pytest.mark.faults
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_may_be_killed_at_any_moment(request, stage):
    """Around every durable effect: one version, one release, one route, one number in MLflow.

    MLflow and Triton follow the ledger before a rerun, too.
    """
    line = reached(request, stage)
    for place, moment in enumerate(line.moments[stage], 1):
        kill(line, stage, place)
        if stage != "freeze":
            check_projections(succeeding(outcome, line.fields, stage, False), moment)
        check_rerun(line, stage, place)


def check_projections(left: dict[str, Any], moment: str) -> None:
    """Hold MLflow and Triton against the ledger: nothing twice, nothing missing, nothing nobody wants."""
    ledger, mlflow = left["ledger"], left["mlflow"]
    route = ledger["route"]
    serving = [route[role]["version"] for role in ("champion", "challenger", "previous") if route[role]]
    aliases = {role: route[role]["version"] for role in ("champion", "challenger") if route[role]}
    assert [item[:2] for item in ledger["versions"]] == mlflow["versions"], moment
    assert aliases == mlflow["aliases"], moment
    needed = {triton_name("churn", version) for version in serving}
    under_way = {triton_name("churn", SECOND)} if ledger["open"] else set()
    assert needed <= set(left["triton"]["loaded"]) <= needed | under_way, moment


@pytest.mark.faults
def test_a_ramp_may_be_killed_at_any_moment(ramping):
    """Around every durable effect of every step: traffic is what the ledger says, a rerun completes it."""
    for stage in ramping.stages:
        ramping.reach(stage)
        for place, moment in enumerate(ramping.moments[stage], 1):
            kill(ramping, stage, place)
            check_projections(succeeding(outcome, ramping.fields, stage, False), moment)
            check_rerun(ramping, stage, place)
