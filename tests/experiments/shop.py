"""A model that serves, and what may take some of its traffic."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from include.adapters.artefact_home import artefact_store
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.outcome_log import OutcomeLog
from include.adapters.packages import load_manifest
from include.adapters.prediction_log import PredictionLog
from include.adapters.tracking import Tracking
from include.config.experiments import ExperimentFile, experiment_file
from include.config.models import ModelFolder
from include.config.settings import Settings
from include.contracts.experiments import Experiment
from include.contracts.packages import Version
from include.contracts.releases import Decision
from include.experiments.answers import record_answer
from include.experiments.propose import Proposal, propose
from include.experiments.start import start
from include.registry.register import register
from include.rollout.switch import full_route
from tests.adapters.ledger.trials import PLAN
from tests.config.test_experiments import METRICS
from tests.experiments.world import SEGMENT, outcome, row, write_plan
from tests.registry.candidates import model_folder, write_candidate

AS_OF = datetime(2017, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
BOTH = ("olga", "uma")


@dataclass
class Shop:
    """A model that serves, with a second version registered."""

    settings: Settings
    ledger: Ledger
    folder: ModelFolder
    champion: Version
    candidate: Version

    def file(self, **changes: Any) -> ExperimentFile:
        """Write the plan, some keys replaced; return its file."""
        write_plan(self.folder, PLAN | changes)
        return experiment_file(self.folder, "offers")

    def propose(self, **changes: Any) -> tuple[ExperimentFile, Proposal]:
        """Return file and proposal of the plan."""
        file = self.file(**changes)
        return file, propose(self.settings, self.ledger, file, AS_OF, underpowered=True)

    def answer(self, proposal: Proposal, name: str | None, decision: Decision = Decision.APPROVED) -> None:
        """Answer the question."""
        record_answer(
            self.ledger,
            "churn",
            proposal,
            decision,
            approvers=BOTH,
            decided_by=name,
            decided_at=AS_OF,
            evidence_sha256="shown",
        )

    def start(self, file: ExperimentFile, proposal: Proposal) -> Experiment:
        """Start what was proposed."""
        return start(self.settings, self.ledger, file, proposal, AS_OF, actor="ada", approvers=BOTH)

    def started(self, **changes: Any) -> Experiment:
        """Propose, approve and start."""
        file, proposal = self.propose(**changes)
        self.answer(proposal, "olga")
        return self.start(file, proposal)

    def traffic(self, units_a_day: int, days: int = 28, came_back: int = 2) -> None:
        """Log days of new units, one request each, of whom one in so many came back the day after."""
        rows, told = [], []
        for day in range(days):
            at = AS_OF - (days - day) * DAY + timedelta(hours=1)
            for unit in range(day * units_a_day, (day + 1) * units_a_day):
                rows.append(row(unit, at, None, None, None))
                if unit % came_back == 0:
                    told.append(outcome(f"came-{unit}", at + DAY, unit=str(unit)))
        log = PredictionLog(self.settings.predictions_folder, SEGMENT)
        log.append(rows)
        log.close()
        outcomes = OutcomeLog(self.settings.outcomes_folder, SEGMENT)
        outcomes.append(told)
        outcomes.close()


def make_shop(root: Path) -> None:
    """Register two versions and let the first serve, in a folder that shops are copied from."""
    settings = Settings(home=root / "home")
    upgrade(settings.ledger_uri)
    ledger = Ledger(settings.ledger_uri)
    folder = model_folder(root / "models")
    path = folder.path / "contract.yaml"
    contract = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(contract | {"experiment_metrics": METRICS[:4]}), encoding="utf-8")
    store, tracking = artefact_store(settings), Tracking(settings, uri="http://127.0.0.1:9")
    versions = []
    for run, factor in (("one", 1.0), ("two", 2.0)):
        uri = write_candidate(store, folder, run, factor=factor)
        versions.append(register(settings, ledger, tracking, folder, uri, actor="ada"))
    manifest = load_manifest(store, versions[0])
    route = full_route(
        folder.contract, manifest, versions[0], endpoints=("127.0.0.1:1",), before=None, change_id="first"
    )
    ledger.change_route(RouteUpdate(route, 0), actor="ada", reason="first")
    ledger.close()


def open_shop(template: Path, root: Path) -> Iterator[Shop]:
    """Give a shop of the test's own, copied from one that was made once."""
    for name in ("home", "models"):
        shutil.copytree(template / name, root / name)
    settings = Settings(home=root / "home")
    ledger = Ledger(settings.ledger_uri)
    champion, candidate = ledger.versions("churn")
    yield Shop(settings, ledger, ModelFolder(root / "models" / "churn"), champion, candidate)
    ledger.close()
