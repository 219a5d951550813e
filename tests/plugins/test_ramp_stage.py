"""A place of a ramp as Airflow runs it: entered, deferred, woken, answered; against a real ledger and log."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.packages import package_uri, publish_package
from include.adapters.prediction_log import PredictionLog
from include.config.models import ModelFolder
from include.config.settings import REPOSITORY_ROOT, settings
from include.contracts.alerts import AlertKind
from include.contracts.packages import Manifest
from include.contracts.predictions import Status
from include.contracts.ramps import RampReason
from include.contracts.releases import Decision, Release, ReleaseStage
from include.rollout.approval import record_decision
from include.rollout.ramp import enter, ramp_tools
from include.rollout.ramp_control import pause
from tests.adapters.ledger.changes import route_to
from tests.adapters.test_prediction_log import row
from tests.registry.candidates import model_folder, opened, training_record

RELEASE = "churn-run-1"
PLAN = {
    "stages": [{"share": 0.5, "hold": "1h"}, {"share": 1.0, "hold": "0s"}],
    "bake": "0s",
    "patience": "0s",
    "guardrails": [{"metric": "error_ratio", "margin": 0.2, "baseline": 0.01}],
}
MODULES = (
    "named_approval",
    "ramp_resumption",
    "ramp_stage",
    "ramp_trigger",
    "release_approval",
    "stage_task",
)
FAST = 0.000001
"""A clock at which an hour is over at once."""


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    """Give a model whose plan has one share beside the champion."""
    made = model_folder(tmp_path / "models")
    path = made.path / "contract.yaml"
    contract = yaml.safe_load(path.read_text()) | {"rollout": PLAN}
    path.write_text(yaml.safe_dump(contract, sort_keys=False))
    return ModelFolder(made.path)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: ModelFolder) -> Iterator[Ledger]:
    """Give the ledger that tasks find in their settings, of a platform that replays."""
    monkeypatch.setenv("NINETY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NINETY_REPLAY", "true")
    monkeypatch.setenv("NINETY_MODEL_FOLDERS", f'["{folder.path.parent}"]')
    settings.cache_clear()
    upgrade(settings().ledger_uri)
    opened_ledger = Ledger(settings().ledger_uri)
    yield opened_ledger
    opened_ledger.close()
    settings.cache_clear()


@pytest.fixture
def release(ledger: Ledger, folder: ModelFolder) -> Release:
    """Give an approved release that the ledger holds for loaded, beside a champion."""
    store = ArtefactStore(settings().artefacts_folder)
    for number in ("1.0.0", "1.1.0"):
        manifest = Manifest(**dict(training_record(folder, f"run-{number}")), files={})
        digest = publish_package(store, manifest, {})
        ledger.register_version(
            model="churn",
            version=number,
            artefact_sha256=digest,
            package_uri=package_uri("churn", digest),
            run_id=f"run-{number}",
            requested_by="ada",
            actor="ada",
        )
        if number == "1.0.0":
            ledger.change_route(RouteUpdate(route_to(number), 0), actor="ada", reason="the first")
    opened(ledger, folder.contract, "1.1.0", release_id=RELEASE, triggered_by="operator")
    approved = record_decision(
        ledger,
        store,
        RELEASE,
        Decision.APPROVED,
        decided_by="approver",
        decided_at=datetime.now(UTC),
        evidence_sha256="shown",
    )
    return ledger.advance_release(RELEASE, approved.revision, ReleaseStage.LOADED, actor="operator")


@pytest.fixture
def airflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Give the plugins; questions put to Airflow are kept in `asked`."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.syspath_prepend(str(REPOSITORY_ROOT / "plugins"))
    stage = import_module("ramp_stage")
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(stage, "upsert_hitl_detail", lambda **question: asked.append(question))
    errors = import_module("airflow.sdk.exceptions")
    yield SimpleNamespace(stage=stage, trigger=import_module("ramp_trigger"), asked=asked, errors=errors)
    for name in MODULES:
        sys.modules.pop(name, None)


def context(clock: float = 1.0) -> dict[str, Any]:
    """Return what a run's task sees."""
    return {
        "run_id": "run-1",
        "task_instance": SimpleNamespace(id="ti-1"),
        "dag_run": SimpleNamespace(triggering_user_name="operator"),
        "params": {"clock": clock},
    }


def task(airflow: SimpleNamespace, until: int | None = 0) -> Any:
    """Return the task of a place."""
    return airflow.stage.RampStage(task_id="ramp_to_50", model="churn", until=until)


def parked(airflow: SimpleNamespace, step: Callable[[], object]) -> Any:
    """Run a task until it waits; return what it handed to Airflow."""
    with pytest.raises(airflow.errors.TaskDeferred) as waiting:
        step()
    assert waiting.value.method_name == "resume"
    return waiting.value


def send(requests: int, failing: int = 0) -> None:
    """Log requests of both variants; of the new version the first fail."""
    log = PredictionLog(settings().predictions_folder, 2**20)
    now = datetime.now(UTC)
    log.append(
        [
            row(
                recorded_at=now,
                unit=str(number),
                assigned_variant=variant,
                release_or_experiment_id=RELEASE,
                share=0.5,
                status=Status.FAILED if variant == "challenger" and number < failing else Status.OK,
            )
            for variant in ("champion", "challenger")
            for number in range(requests)
        ]
    )
    log.close()


def test_a_place_is_entered_once_and_waited_for_without_a_worker(airflow, ledger, release) -> None:
    """Killed while it waits and begun again, it waits for the same moment with the same trigger."""
    first = parked(airflow, lambda: task(airflow).execute(context()))
    events = ledger.verify()
    again = parked(airflow, lambda: task(airflow).execute(context()))
    assert (events, first.trigger.serialize()) == (ledger.verify(), again.trigger.serialize())
    path, fields = first.trigger.serialize()
    assert ("ramp_trigger.RampTrigger", RELEASE, None) == (path, fields["release_id"], fields["question"])
    route = ledger.route("churn")
    assert ("1.1.0", 0.5, RELEASE) == (route.challenger.version, route.share, route.change_id)


def fired(airflow: SimpleNamespace, trigger: Any) -> dict[str, Any]:
    """Run a trigger until it fires."""

    async def first() -> dict[str, Any]:
        async for event in trigger.run():
            return event.payload
        raise AssertionError("it ended without an event")

    return asyncio.run(first())


def test_a_trigger_wakes_on_harm_and_the_task_goes_back(airflow, ledger, release) -> None:
    """Made anew from what Airflow keeps of it, it changes nothing; the task fails with the reason."""
    waiting = parked(airflow, lambda: task(airflow).execute(context()))
    send(60, failing=30)
    _, fields = waiting.trigger.serialize()
    events = ledger.verify()
    event = fired(airflow, airflow.trigger.RampTrigger(**fields))
    assert ({"woke": "rollback"}, events) == (event, ledger.verify())
    with pytest.raises(airflow.errors.AirflowFailException, match=r"rolled_back: 50 %: error_ratio 0\.5"):
        task(airflow).resume(context(), event=event, **waiting.kwargs)
    assert ledger.route("churn").challenger is None
    with pytest.raises(airflow.errors.AirflowFailException, match="rolled_back"):
        task(airflow).execute(context())


def test_a_place_that_is_kept_is_left_for_the_next_task(airflow, ledger, release, folder) -> None:
    """The last task sees to all that is left, and ends with the promotion; run again, both do nothing."""
    enter(ramp_tools(settings(), folder.contract), release, "operator", clock=FAST)
    send(400)
    assert task(airflow).execute(context(FAST)) is None
    assert (0.5, True) == (ledger.route("churn").share, ledger.release(RELEASE).ramp.passed)
    assert task(airflow, None).execute(context(FAST)) is None
    assert ReleaseStage.PROMOTED is ledger.release(RELEASE).stage
    events = ledger.verify()
    for until in (0, None):
        assert task(airflow, until).execute(context(FAST)) is None
    assert events == ledger.verify()


def answered(choice: str, user: str = "approver", reason: str = "") -> dict[str, Any]:
    """Return what Airflow makes of a response."""
    return {
        "chosen_options": [choice],
        "params_input": {"reason": reason},
        "responded_by_user": {"id": "7", "name": user},
    }


def test_a_hold_asks_the_approvers_and_goes_on_watching(airflow, ledger, release) -> None:
    """One question, with figures; woken meanwhile, it is not put again, and its answer is looked for."""
    waiting = parked(airflow, lambda: task(airflow).execute(context(FAST)))
    (question,) = airflow.asked
    assert ["Extend", "Roll back", "Promote"] == question["options"]
    assert [{"id": user, "name": user} for user in release.approvers] == question["assigned_users"]
    assert "too few requests" in question["body"]
    assert f"Figures of {datetime.now(UTC):%Y-%m-%d}" in question["body"]
    assert "ti-1" == waiting.trigger.serialize()[1]["question"]
    again = parked(
        airflow, lambda: task(airflow).resume(context(FAST), event={"woke": "changed"}, **waiting.kwargs)
    )
    assert (1, "ti-1") == (len(airflow.asked), again.trigger.serialize()[1]["question"])
    assert [AlertKind.RAMP_HELD] == [alert.content.kind for alert in ledger.open_alerts("churn")]


def test_a_reason_promotes_and_none_is_asked_for_again(airflow, ledger, release) -> None:
    """An answer that does not count is no answer; one that does is in the ledger, with who gave it."""
    waiting = parked(airflow, lambda: task(airflow).execute(context(FAST)))
    parked(airflow, lambda: task(airflow).resume(context(FAST), event=answered("Promote"), **waiting.kwargs))
    assert 2 == len(airflow.asked)
    promoted = answered("Promote", reason="a quiet night")
    assert task(airflow).resume(context(FAST), event=promoted, **waiting.kwargs) is None
    decided = [event for event in ledger.events("churn") if event.subject == "churn-run-1"]
    decided = [event for event in decided if isinstance(event.payload.get("decision"), dict)]
    assert ("approver", "promoted_by_hand") in {
        (event.actor, event.payload["decision"]["reason"]) for event in decided
    }


def test_an_extended_place_is_held_again(airflow, ledger, release) -> None:
    """Its clock runs anew, and the next hold is a question of its own."""
    waiting = parked(airflow, lambda: task(airflow).execute(context(FAST)))
    parked(airflow, lambda: task(airflow).resume(context(FAST), event=answered("Extend"), **waiting.kwargs))
    ramp = ledger.release(RELEASE).ramp
    assert (2, 2, RampReason.TOO_FEW_REQUESTS) == (len(airflow.asked), ramp.looks, ramp.held)


def test_a_trigger_wakes_when_somebody_pauses(airflow, ledger, release) -> None:
    """The task looks, and waits on."""
    waiting = parked(airflow, lambda: task(airflow).execute(context()))
    pause(ledger, "churn", by="uma", reason="a game tonight")
    event = fired(airflow, waiting.trigger)
    assert {"woke": "changed"} == event
    parked(airflow, lambda: task(airflow).resume(context(), event=event, **waiting.kwargs))


def test_times_are_compressed_in_a_replay_only(airflow, ledger, release, monkeypatch) -> None:
    """Live, a clock below 1 is refused before anything is entered."""
    monkeypatch.setenv("NINETY_REPLAY", "false")
    settings.cache_clear()
    with pytest.raises(airflow.errors.AirflowFailException, match="only in a replay"):
        task(airflow).execute(context(FAST))
    assert ReleaseStage.LOADED is ledger.release(RELEASE).stage
