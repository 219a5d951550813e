"""A running platform: ledger migrated, keys issued, processes up, and a model brought to production."""

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path

from include.adapters.artefact_home import artefact_store
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.packages import load_report
from include.commands import processes
from include.commands.airflow_api import AirflowApi
from include.commands.life_cycle import LifeCycle
from include.commands.progress import Progress
from include.commands.secrets import ensure_secrets, keep_secret, passwords
from include.config.models import model_folder
from include.config.settings import Settings
from include.contracts.events import SYSTEM
from include.contracts.keys import Verb
from include.contracts.model import ModelContract
from include.contracts.routes import ModelRoute

OPERATOR = "operator"
KEY_NAME = "demo"


@dataclass(frozen=True)
class Replay:
    """Which stretch of history a life cycle is played on."""

    first_day: date = date(2017, 2, 1)
    as_of: date = date(2017, 11, 1)

    @property
    def moment(self) -> datetime:
        """The moment the model is trained as of."""
        return datetime.combine(self.as_of, time(), UTC)


@dataclass(frozen=True)
class Platform:
    """The running platform, and one model on it."""

    settings: Settings
    model: str
    progress: Progress

    @property
    def contract(self) -> ModelContract:
        """The model's contract."""
        return model_folder(self.settings.model_folders, self.model).contract

    def airflow(self, user: str) -> AirflowApi:
        """Return a session with Airflow as one of its users.

        Raises:
            PlatformError: there is no such user.
        """
        return AirflowApi(self.settings.airflow_url, user, passwords(self.settings).get(user, ""))

    def life_cycle(self) -> LifeCycle:
        """Return the model's life cycle, driven as the operator."""
        return LifeCycle(self.airflow(OPERATOR), self.model, self.progress.say)

    def start(self) -> None:
        """Migrate the ledger and bring every process up; what a failed start left is stopped."""
        processes.refuse_second_start(self.settings)
        upgrade(self.settings.ledger_uri)
        ensure_secrets(self.settings)
        self.api_key()
        processes.start(self.settings)
        try:
            processes.wait_until_ready(self.settings, say=self.progress.say)
        except BaseException:
            processes.stop(self.settings)
            raise

    @property
    def key_path(self) -> Path:
        """Where this machine's API key lies."""
        return self.settings.secrets_folder / f"{KEY_NAME}.key"

    def api_key(self) -> str:
        """Return this machine's API key; issued once, kept in the secrets folder."""
        path = self.key_path
        if not path.exists():
            verbs = (Verb.PREDICT, Verb.OUTCOMES, Verb.INFER, Verb.READ)
            with closing(Ledger(self.settings.ledger_uri)) as ledger:
                _, secret = ledger.issue_key(KEY_NAME, ["*"], verbs, SYSTEM)
            keep_secret(path, secret)
        return path.read_text(encoding="utf-8")


@contextmanager
def running(platform: Platform) -> Iterator[None]:
    """Start the platform for the length of a block, and leave nothing behind, whatever happens in it.

    A start that is refused leaves alone what another one started.
    """
    with platform.progress.step("start every process"):
        platform.start()
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
        print("stopping …")
        processes.stop(platform.settings)


def bring_to_production(platform: Platform, replay: Replay, approver: str | None) -> None:
    """Take the model from raw data to production.

    Args:
        platform: running.
        replay: the days to compute and the moment to train as of.
        approver: answers the approval through Airflow's API; None waits for a person in the browser.
    """
    cycle, progress = platform.life_cycle(), platform.progress
    with progress.step(f"compute features of {replay.first_day} to {replay.as_of}"):
        cycle.materialize(replay.as_of, replay.first_day)
    with progress.step("compute labels"):
        cycle.label(replay.as_of, replay.first_day)
    with progress.step("train, evaluate, register"):
        release = cycle.train(replay.moment)
        progress.say(registered_figures(platform))
    with progress.step("release, with approval"):
        page = cycle.await_approval(release)
        if approver:
            progress.say(f"{approver} approves at {page}")
            cycle.approve(release, platform.airflow(approver))
            cycle.await_release(release)
        else:
            progress.say(f"waiting for an approver ({', '.join(platform.contract.approvers.users)}): {page}")
            cycle.await_release(release, platform.settings.approval_timeout_hours * 3600 + 60)


def champion_of(settings: Settings, model: str) -> ModelRoute | None:
    """Return a model's route, or None before its first release."""
    upgrade(settings.ledger_uri)
    with closing(Ledger(settings.ledger_uri)) as ledger:
        return ledger.route(model)


def registered_figures(platform: Platform) -> str:
    """Return the newest version with its figures against the baseline's, for people."""
    with closing(Ledger(platform.settings.ledger_uri)) as ledger:
        version = ledger.versions(platform.model)[-1]
    report = load_report(artefact_store(platform.settings), version)
    metric = platform.contract.gates.baseline.metric.value
    return (
        f"{platform.model} {version.version}: {metric} {report.metrics[metric]:.4f}, baseline "
        f"{report.baseline_metrics[metric]:.4f}, on {report.test_rows:,} rows of "
        f"[{report.test_start:%Y-%m-%d}, {report.test_end:%Y-%m-%d})"
    )
