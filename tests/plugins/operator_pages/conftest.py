"""The pages on a real API server, with a ledger that holds hostile words, for four kinds of people."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteUpdate
from include.commands.bench_pages.year import END, Year
from include.commands.environment import process_environment
from include.commands.secrets import ensure_secrets, passwords
from include.commands.services import free_port, running_server
from include.config.models import model_folder
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.alerts import AlertContent, AlertKind
from include.contracts.experiment_results import (
    Analysis,
    Comparison,
    ExperimentReason,
    ExperimentVerdict,
    JudgedGuardrail,
    Look,
)
from include.contracts.guardrails import GuardrailReason, GuardrailResult, GuardrailVerdict
from include.contracts.ramps import Ramp, RampDecision, RampReason, RampVerdict
from include.contracts.releases import ReleaseStage
from include.contracts.retraining import Training
from include.contracts.routes import Challenger
from tests.adapters.ledger.changes import advance_to_loaded, open_release, register, route_to
from tests.adapters.ledger.trials import FURTHER, SIZED, THREE, experiment, plan, split

CHURN = model_folder((REPOSITORY_ROOT / "include" / "models",), "churn")
DAG_FILES = ("rollback", "train")
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
MODEL = "model_01"
TRIED = "tried"
"""A model that an experiment runs on; it has no folder."""
RAMPED = "ramped"
"""A model whose release is on its ramp; it has no folder."""
STRANGE = "<b>strange<b>"
"""A model whose name no contract would let through, as if somebody had written it into the ledger."""


@dataclass(frozen=True)
class Seat:
    """The running server, and what is in its ledger."""

    settings: Settings
    ledger: Ledger
    alert_id: str
    training: str
    tokens: dict[str, str] = field(default_factory=dict)

    def client(self, user: str | None, **headers: str) -> httpx.Client:
        """Return a client that carries a user's token, as a program does."""
        bearer = {"Authorization": f"Bearer {self.tokens[user]}"} if user else {}
        return httpx.Client(
            base_url=self.settings.airflow_url, headers=bearer | headers, trust_env=False, timeout=60
        )

    def browser(self, user: str, **headers: str) -> httpx.Client:
        """Return a client that carries a user's cookie, as a browser does."""
        client = self.client(None, **headers)
        client.cookies.set("_token", self.tokens[user])
        return client


@pytest.fixture(scope="package")
def seat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seat]:
    """Give the pages on a server of their own; it ends with the package's tests."""
    home = tmp_path_factory.mktemp("seat")
    with seated(settings_at(home), home) as found:
        yield found


@contextmanager
def seated(settings: Settings, home: Path) -> Iterator[Seat]:
    """Write a ledger, and run the API server with its pages for the length of a block."""
    Year(settings, CHURN, models=1, days=31).write()
    ledger = Ledger(settings.ledger_uri)
    found = Seat(settings, ledger, *_write_history(ledger))
    with served(settings, home):
        found.tokens.update({user: _token(found, user) for user in passwords(settings)})
        yield found
    ledger.close()


def settings_at(home: Path, **changes: object) -> Settings:
    """Return settings of a platform that has a folder, keys, and nothing else."""
    settings = Settings(
        home=home / "var",
        airflow_port=free_port(),
        model_folders=(home / "models",),
        metrics_token_file=str(home / "scraper.token"),
        replay=True,
        **changes,
    )
    ensure_secrets(settings)
    settings.airflow_home.mkdir(parents=True)
    return settings


@contextmanager
def served(settings: Settings, home: Path) -> Iterator[None]:
    """Run the API server for the length of a block."""
    environment = process_environment(settings) | _bundle(home / "bundle")
    server = Path(__file__).with_name("airflow_server.py")
    command = [sys.executable, str(server), str(settings.airflow_port)]
    with running_server(command, home / "server.log", settings.airflow_port, environment=environment):
        yield


def _token(seat: Seat, user: str) -> str:
    login = {"username": user, "password": passwords(seat.settings)[user]}
    with seat.client(None) as client:
        answer = client.post("/auth/token", json=login)
    token: str = answer.raise_for_status().json()["access_token"]
    return token


def _bundle(folder: Path) -> dict[str, str]:
    """Return the environment in which these few DAG files are all there are."""
    folder.mkdir()
    for name in DAG_FILES:
        shutil.copy(REPOSITORY_ROOT / "dags" / f"{name}.py", folder)
    bundle = {
        "name": "few",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder)},
    }
    return {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle])}


def _write_experiment(ledger: Ledger) -> None:
    """Write an experiment of two treatments with two looks, its words hostile."""
    register(ledger, model=TRIED)
    written = plan(description=HOSTILE, variants=THREE)
    trial = experiment(model=TRIED, plan=written, started_by=HOSTILE, further=FURTHER, size=SIZED)
    split_route = split(0.3).model_copy(
        update={
            "model": TRIED,
            "further": (Challenger(route=route_to("1.0.2").champion, start=0.3, share=0.3),),
        }
    )
    ledger.change_route(RouteUpdate(route_to("1.0.0", TRIED), 0), actor="ada", reason="first")
    ledger.start_experiment(trial, RouteUpdate(split_route, 1))
    for number in (1, 2):
        said = analysis(trial.experiment_id, number)
        beside = Comparison(**{name: getattr(said, name) for name in Comparison.model_fields})
        both = said.model_copy(update={"further": (beside,)})
        ledger.record_analysis(TRIED, both, HOSTILE, earlier=number - 1)


def _write_ramp(ledger: Ledger) -> None:
    """Write a release on its ramp, the decision about it hostile."""
    register(ledger, "2.0.0", RAMPED)
    release = open_release(ledger, "2.0.0", "ramped-1", RAMPED)
    release = advance_to_loaded(ledger, release)
    at = Ramp(place=0, began_at=END, entered_at=END, due_at=END + timedelta(hours=1))
    decision = RampDecision(
        verdict=RampVerdict.HOLD,
        reason=RampReason.TOO_FEW_REQUESTS,
        place=0,
        detail=HOSTILE,
        requests=7,
        guardrails=(guardrail(),),
    )
    held = at.model_copy(update={"held": decision.reason, "answer_by": END + timedelta(days=1)})
    for ramp, decided in ((at, None), (held, decision)):
        release = ledger.advance_release(
            release.release_id,
            release.revision,
            ReleaseStage.RAMPING,
            actor="system",
            ramp=ramp,
            decision=decided,
        )


def guardrail() -> GuardrailResult:
    """Return a guardrail that is undecided."""
    return GuardrailResult(
        metric="error_ratio",
        verdict=GuardrailVerdict.INCONCLUSIVE,
        reason=GuardrailReason.TOO_FEW_REQUESTS,
        margin=0.01,
        control=0.001,
        treatment=0.002,
        harm_low=-0.01,
        harm=0.001,
        harm_high=0.02,
    )


def analysis(experiment_id: str, number: int) -> Analysis:
    """Return an analysis that took a look."""
    look = Look(
        as_of=END + timedelta(days=number),
        number=number,
        planned=True,
        final=False,
        fraction=0.25 * number,
        information=100.0 * number,
        z=1.1 * number,
        upper=4.3 - number,
        lower=number - 4.3,
        alpha_spent=0.001 * number,
        estimate=0.02,
        standard_error=0.01,
        low=-0.01,
        high=0.05,
        p_value=0.2,
    )
    return Analysis(
        experiment_id=experiment_id,
        as_of=look.as_of,
        verdict=ExperimentVerdict.CONTINUE,
        reasons=(ExperimentReason.NOT_SIGNIFICANT,),
        detail=HOSTILE,
        look=look,
        guardrails=(JudgedGuardrail(name=HOSTILE, result=guardrail()),),
    )


def _write_history(ledger: Ledger) -> tuple[str, str]:
    """Write what pages must show as text; return an open alert's id and a training's run."""
    content = AlertContent(
        kind=AlertKind.PERFORMANCE, subject=HOSTILE, model=MODEL, message=HOSTILE, figures={HOSTILE: HOSTILE}
    )
    alert = ledger.raise_alert(content, HOSTILE)
    register(ledger, model=STRANGE)
    ledger.change_route(RouteUpdate(route_to("1.0.0", STRANGE), 0), actor=HOSTILE, reason=HOSTILE)
    open_release(ledger, "1.0.0", "strange-1", STRANGE)
    ledger.abandon(STRANGE, actor=HOSTILE, reason=HOSTILE)
    _write_experiment(ledger)
    _write_ramp(ledger)
    run = f"{MODEL}_train:manual__1"
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    ledger.record_training(
        Training(
            model=MODEL,
            run_id=run,
            as_of=moment,
            labelled_until=moment - timedelta(days=14),
            fingerprint="f" * 64,
            candidate_uri=f"candidates/{MODEL}/none",
            version=None,
        ),
        "operator",
    )
    return alert.alert_id, run
