"""A model with a ramp of several stages and an experiment, on the running platform."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

from include.adapters.ledger.ledger import Ledger
from include.commands.drill_versions import twin
from include.commands.life_cycle import LifeCycle
from include.commands.platform import Platform, Replay
from include.commands.traffic import entities_of
from include.config.models import ModelFolder
from include.config.settings import REPOSITORY_ROOT
from include.contracts.assignment import bucket, is_assigned
from include.contracts.errors import PlatformError
from include.contracts.packages import Version
from include.contracts.routes import ModelRoute

MODEL = "contested"
EXPERIMENT = "contested_offers"
HISTORY = timedelta(days=126)
CLOCK = 0.001
"""An hour of the ramp's plan takes 3.6 seconds."""
ROLLOUT = {
    "stages": [{"share": 0.2, "hold": "1h"}, {"share": 0.5, "hold": "1h"}, {"share": 1.0, "hold": "0s"}],
    "bake": "0s",
    "patience": "20d",
    "guardrails": [{"metric": "error_ratio", "margin": 0.3, "baseline": 0.01}],
}
METRIC = {"name": "came_back", "source": "outcome", "direction": "increase", "matures_in": "1d"}
PLAN = {
    "name": EXPERIMENT,
    "description": "Do more customers come back?",
    "salt": f"{EXPERIMENT}-1",
    "unit": "customer_id",
    "variants": [
        {"name": "control", "version": "champion", "share": 0.5},
        {"name": "treatment", "version": "candidate", "share": 0.5},
    ],
    "primary": {
        "metric": "came_back",
        "kind": "proportion",
        "direction": "increase",
        "baseline": 0.3,
        "mde": 0.15,
        "looks": [0.5, 1.0],
    },
    "within": "14d",
    "guardrails": [{"metric": "error_ratio", "margin": 0.05}],
}
NOON = datetime.combine(Replay().as_of, datetime.min.time(), UTC) + timedelta(hours=12)
PARSED_SECONDS = 240.0
WAIT_SECONDS = 120.0
ROUTED_SECONDS = 10.0
"""A route is at most a second old; the rest is for a machine that has other work."""
T = TypeVar("T")


@dataclass(frozen=True)
class Contested:
    """The model on the running platform, its first version serving and a second one registered."""

    platform: Platform
    champion: Version
    candidate: Version

    @property
    def ledger(self) -> Ledger:
        """What traffic is held against."""
        return Ledger(self.platform.settings.ledger_uri)

    @property
    def route(self) -> ModelRoute:
        """The route as the ledger has it."""
        with closing(self.ledger) as ledger:
            found = ledger.route(MODEL)
        assert found is not None
        return found

    @property
    def customers(self) -> list[int | str]:
        """Everybody who has features."""
        return entities_of(self.platform.settings, self.platform.contract, Replay().as_of)

    def run(self, stage: str, user: str = "operator", **conf: Any) -> str:
        """Trigger a DAG of the model as a user; return the run's id."""
        return self.platform.airflow(user).trigger(f"{MODEL}_{stage}", conf)

    def succeed(self, stage: str, run: str) -> None:
        """Wait until a run has succeeded."""
        self.platform.airflow("operator").wait(f"{MODEL}_{stage}", run, lambda *_: None, WAIT_SECONDS)

    def say_yes(self, stage: str, run: str) -> None:
        """Answer a run's question as its approver, once it waits."""
        operator = self.platform.airflow("operator")
        operator.wait_for_task(f"{MODEL}_{stage}", run, "approve", "awaiting_input", WAIT_SECONDS)
        time.sleep(3)  # an answer that outruns the scheduler's notice of the parked process is lost
        self.platform.airflow("approver").answer(f"{MODEL}_{stage}", run, "approve", "Approve")

    def ask(self, customer: int | str, at: datetime = NOON) -> dict[str, Any]:
        """Ask for a prediction; return the answer."""
        answer = self._post(f"predict/{MODEL}", {"entity": {"customer_id": customer}}, at)
        assert httpx.codes.OK == answer.status_code, answer.text
        return dict(answer.json())

    def tell(self, outcomes: list[dict[str, Any]]) -> None:
        """Tell of outcomes, as whoever acts on predictions does."""
        answer = self._post("outcomes", outcomes, NOON)
        assert httpx.codes.OK == answer.status_code, answer.text
        assert len(outcomes) == answer.json()["accepted"]

    def assert_traffic_is_the_ledgers(self, count: int = 60, at: datetime = NOON) -> dict[str, int]:
        """Hold every answer against the ledger's route, unit by unit; return how many had each variant."""
        route = self.route
        versions = {"champion": route.champion.version}
        if route.challenger is not None:
            versions["challenger"] = route.challenger.version
        customers = self.customers[:count]
        probes = telling(route, customers)
        until(lambda: all(self._agrees(route, versions, each, at) for each in probes), ROUTED_SECONDS)
        found = dict.fromkeys(versions, 0)
        for customer in customers:
            assert self._agrees(route, versions, customer, at), (customer, route.share)
            found[variant(route, customer)] += 1
        assert route == self.route, "the route was changed meanwhile"
        return found

    def _agrees(self, route: ModelRoute, versions: dict[str, str], customer: int | str, at: datetime) -> bool:
        answer, wanted = self.ask(customer, at), variant(route, customer)
        return (answer["variant"], answer["version"]) == (wanted, versions[wanted])

    def _post(self, path: str, body: object, at: datetime) -> httpx.Response:
        headers = {
            "Authorization": f"Bearer {self.platform.api_key()}",
            "X-Event-Time": at.isoformat(),
            "Content-Type": "application/json",
        }
        url = f"{self.platform.settings.gateway_url}/v1/{path}"
        return httpx.post(url, content=json.dumps(body), headers=headers, trust_env=False, timeout=30)


def variant(route: ModelRoute, customer: int | str) -> str:
    """Return the variant that the ledger's route gives a customer."""
    is_split = route.challenger is not None and is_assigned(str(route.change_id), str(customer), route.share)
    return "challenger" if is_split else "champion"


def telling(route: ModelRoute, customers: list[int | str]) -> list[int | str]:
    """Return customers whose answers tell a route from the one before it.

    Of a share that grew, whom it reached last; where nothing is split any more, some of whom would be.
    """
    reached = [each for each in customers if variant(route, each) == "challenger"]
    if not reached:
        return customers[:12]
    return [max(reached, key=lambda each: bucket(str(route.change_id), str(each)))]


def until(look: Callable[[], T | None], seconds: float) -> T:
    """Return what `look` finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.2)
    return found


@contextmanager
def contested(platform: Platform, models: Path) -> Iterator[Contested]:
    """Bring the model to production beside the platform's own, and register a second version of it.

    Its folder appears while everything runs, as a data scientist's does.
    """
    folder = write_folder(models)
    platform = replace(platform, model=MODEL)
    cycle = LifeCycle(platform.airflow("operator"), MODEL, platform.progress.say)
    for dag in (f"{MODEL}_train", f"{MODEL}_release", f"{EXPERIMENT}_control"):
        until(lambda dag=dag: is_parsed(platform, dag), PARSED_SECONDS)
    cycle.label(Replay().as_of, Replay().as_of - HISTORY)
    release = cycle.train(Replay().moment)
    cycle.await_approval(release)
    cycle.approve(release, platform.airflow("approver"))
    cycle.await_release(release)
    with closing(Ledger(platform.settings.ledger_uri)) as ledger:
        champion = ledger.champion(MODEL)
    assert champion is not None
    yield Contested(platform, champion, twin(platform.settings, folder, champion))


def is_parsed(platform: Platform, dag: str) -> bool:
    """Say whether Airflow knows a DAG."""
    try:
        return bool(platform.airflow("operator").task_ids(dag))
    except PlatformError:
        return False


def write_folder(models: Path) -> ModelFolder:
    """Write churn's folder anew: quickly trained, easily passed, slowly ramped."""
    source, target = REPOSITORY_ROOT / "include" / "models" / "churn", models / MODEL
    (target / "experiments").mkdir(parents=True)
    for name in ("label.sql", "network.py", "runbook.md"):
        (target / name).write_bytes((source / name).read_bytes())
    contract = yaml.safe_load((source / "contract.yaml").read_text(encoding="utf-8"))
    contract |= {"name": MODEL, "rollout": ROLLOUT, "experiment_metrics": [METRIC], "slices": []}
    contract["features"]["service"] = f"{MODEL}_v1"
    contract["training"]["history"] = f"{HISTORY.days}d"
    contract["training"]["hyperparameters"]["epochs"] = 4
    contract["gates"] |= {
        "thresholds": [{"metric": "roc_auc", "minimum": 0.5}],
        "baseline": contract["gates"]["baseline"] | {"margin": 0.0},
        "benchmark": {"windows": 1, "thresholds": []},
        "slices": [],
        "robustness": {"affected_share": 0.1, "maximum_degradation": 10, "maximum_degradation_extreme": 10},
    }
    (target / "experiments" / f"{EXPERIMENT}.yaml").write_text(yaml.safe_dump(PLAN), encoding="utf-8")
    # Last: a folder is a model once it has a contract.
    (target / "contract.yaml").write_text(yaml.safe_dump(contract), encoding="utf-8")
    return ModelFolder(target)
