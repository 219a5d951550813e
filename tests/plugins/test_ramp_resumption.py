"""Resuming a paused ramp as Airflow runs it, against a real ledger: who is asked, and what a yes does."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.config.settings import REPOSITORY_ROOT, settings
from include.contracts.ramps import Ramp
from include.contracts.releases import ReleaseStage
from include.rollout.ramp_control import pause
from tests.adapters.ledger.changes import advance_to_loaded, open_release, register


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Give the ledger that tasks find in their settings, with a paused ramp in it."""
    monkeypatch.setenv("NINETY_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    upgrade(settings().ledger_uri)
    opened = Ledger(settings().ledger_uri)
    register(opened)
    loaded = advance_to_loaded(opened, open_release(opened))
    now = datetime.now(UTC)
    ramp = Ramp(place=0, began_at=now, entered_at=now, due_at=now)
    opened.advance_release("r1", loaded.revision, ReleaseStage.BAKING, actor="system", ramp=ramp)
    pause(opened, "churn", by="uma", reason="a game tonight")
    yield opened
    opened.close()
    settings.cache_clear()


@pytest.fixture
def resumption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Give the operator; what it sends to Airflow is kept in `sent`."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.syspath_prepend(str(REPOSITORY_ROOT / "plugins"))
    hitl = import_module("airflow.providers.standard.operators.hitl")
    operator = import_module("ramp_resumption").RampResumption(
        task_id="approve", model="churn", response_timeout=timedelta(hours=1)
    )
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **request: sent.append(request))
    yield SimpleNamespace(operator=operator, sent=sent, errors=import_module("airflow.sdk.exceptions"))
    for name in ("named_approval", "ramp_resumption", "stage_task"):
        sys.modules.pop(name, None)


def run_of(user: str, number: int = 1) -> dict[str, Any]:
    """Return what the task sees of a run that a user triggered, at one of its tries."""
    return {
        "run_id": "run-1",
        "task_instance": SimpleNamespace(id="ti-1", try_number=number),
        "dag_run": SimpleNamespace(triggering_user_name=user),
        "params": {"reason": "the game is over"},
    }


def answer(choice: str, user: str | None) -> dict[str, Any]:
    """Return what Airflow makes of its record of a response."""
    return {
        "chosen_options": [choice],
        "params_input": {},
        "responded_at": datetime.now(UTC),
        "responded_by_user": {"id": "7", "name": user} if user else None,
        "timedout": user is None,
    }


def test_an_approver_other_than_who_asks_lets_it_go_on(resumption, ledger: Ledger) -> None:
    """Asked by olga, only uma may answer; her yes resumes it, with the reason in the ledger."""
    with pytest.raises(resumption.errors.TaskAwaitingInput):
        resumption.operator.execute(run_of("olga"))
    (request,) = resumption.sent
    assert [{"id": "uma", "name": "uma"}] == request["assigned_users"]
    assert "the game is over" in request["body"]
    resumption.operator.execute_complete(run_of("olga"), event=answer("Approve", "uma"))
    assert ledger.release("r1").ramp.paused_at is None
    last = ledger.events("churn")[-1]
    assert ("uma", "resumed_by_hand") == (last.actor, last.payload["decision"]["reason"])


@pytest.mark.parametrize(("choice", "user"), [("Reject", "uma"), ("Reject", None), ("Approve", None)])
def test_without_a_persons_yes_it_stays_paused(
    resumption, ledger: Ledger, choice: str, user: str | None
) -> None:
    """A no, and a time that ran out."""
    resumption.operator.execute_complete(run_of("olga"), event=answer(choice, user))
    assert ledger.release("r1").ramp.paused_at is not None


def test_who_asks_cannot_say_yes(resumption, ledger: Ledger) -> None:
    """Even where Airflow let them answer."""
    with pytest.raises(resumption.errors.AirflowFailException, match="may not let it go on"):
        resumption.operator.execute_complete(run_of("olga"), event=answer("Approve", "olga"))
    assert ledger.release("r1").ramp.paused_at is not None


def test_nothing_is_asked_where_nothing_is_paused(resumption, ledger: Ledger) -> None:
    """The run fails with what there is."""
    ledger.abandon("churn", actor="ada", reason="make room")
    with pytest.raises(resumption.errors.AirflowFailException, match="no release of churn is paused"):
        resumption.operator.execute(run_of("olga"))


def test_a_resumption_that_airflow_forgot_is_not_asked_for_again(resumption, ledger: Ledger) -> None:
    """The answer let the ramp go on, its report was lost, the task runs a second time: it is done."""
    resumption.operator.execute_complete(run_of("olga"), event=answer("Approve", "uma"))
    resumption.operator.execute(run_of("olga", number=2))
    assert [] == resumption.sent
    assert ledger.release("r1").ramp.paused_at is None
