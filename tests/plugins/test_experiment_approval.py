"""The question before an experiment as Airflow runs it, against a real ledger and real packages."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from include.config.experiments import ExperimentFile
from include.config.settings import REPOSITORY_ROOT, settings
from include.contracts.releases import Decision
from tests.experiments.shop import AS_OF, Shop, make_shop, open_shop

ANSWERED_AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make what each test gets a copy of; MLflow does not run."""
    root = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        make_shop(root)
    return root


@pytest.fixture
def shop(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Give a model that serves, where tasks find it in their settings."""
    monkeypatch.setenv("NINETY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NINETY_MODEL_FOLDERS", json.dumps([str(tmp_path / "models")]))
    settings.cache_clear()
    yield from open_shop(template, tmp_path)
    settings.cache_clear()


@pytest.fixture
def asking(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Give the operator in its run; what it sends to Airflow is kept in `sent`."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.syspath_prepend(str(REPOSITORY_ROOT / "plugins"))
    hitl = import_module("airflow.providers.standard.operators.hitl")
    file: ExperimentFile = shop.file()
    operator = import_module("experiment_approval").ExperimentApproval(
        task_id="approve", file=file, response_timeout=timedelta(hours=1)
    )
    sent: list[dict] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **request: sent.append(request))
    run = SimpleNamespace(logical_date=None, triggering_user_name="admin")
    context = {
        "params": {"as_of": AS_OF.isoformat(), "underpowered": True},
        "dag_run": run,
        "task_instance": SimpleNamespace(id="ti-1"),
    }
    with import_module("airflow.sdk.execution_time.context").set_current_context(context):
        yield SimpleNamespace(
            operator=operator, sent=sent, context=context, errors=import_module("airflow.sdk.exceptions")
        )
    for name in ("experiment_approval", "named_approval", "stage_task"):
        sys.modules.pop(name, None)


def ask(asking: SimpleNamespace) -> dict:
    """Run the task until it waits; return what Airflow keeps for its second half."""
    with pytest.raises(asking.errors.TaskAwaitingInput) as parked:
        asking.operator.execute(asking.context)
    return parked.value.kwargs


def event(choice: str, user: str | None) -> dict:
    """Return what Airflow makes of its record of a response."""
    return {
        "chosen_options": [choice],
        "params_input": {"reason": "looks right"},
        "responded_at": ANSWERED_AT,
        "responded_by_user": {"id": user, "name": user} if user else None,
        "timedout": user is None,
    }


def test_the_plan_is_shown_to_those_who_neither_asked_nor_triggered(asking, shop: Shop) -> None:
    """The contract names approver and admin, and admin triggered this run."""
    kept = ask(asking)
    (request,) = asking.sent
    assert [{"id": "approver", "name": "approver"}] == request["assigned_users"]
    assert "Start experiment offers?" == request["subject"]
    for said in (
        shop.candidate.version,
        "keeps the rest",
        "Underpowered",
        "error_ratio: less than 0.01 worse",
    ):
        assert said in request["body"]
    assert {"evidence_sha256": sha256(request["body"].encode()).hexdigest()} == kept


@pytest.mark.parametrize(("choice", "decision"), [("Approve", "approved"), ("Reject", "rejected")])
def test_the_answer_goes_to_the_ledger_bound_to_plan_and_artefact(asking, shop, choice, decision) -> None:
    """The task run again asks nobody."""
    kept = ask(asking)
    asking.operator.execute_complete(asking.context, event=event(choice, "approver"), **kept)
    (given,) = shop.ledger.experiment_answers("churn", "offers-1")
    assert (Decision(decision), "approver", shop.file().plan.sha256, shop.candidate.artefact_sha256) == (
        given.decision,
        given.decided_by,
        given.plan_sha256,
        given.treatment_sha256,
    )
    asking.operator.execute(asking.context)
    assert 1 == len(asking.sent)


def test_a_deadline_is_a_no_and_may_be_asked_again(asking, shop: Shop) -> None:
    """Nobody's silence starts anything, and nobody's silence forbids it for good."""
    kept = ask(asking)
    asking.operator.execute_complete(asking.context, event=event("Reject", None), **kept)
    (given,) = shop.ledger.experiment_answers("churn", "offers-1")
    assert (None, Decision.REJECTED) == (given.decided_by, given.decision)
    ask(asking)
    assert 2 == len(asking.sent)


def test_what_runs_already_is_not_asked_about(asking, shop: Shop) -> None:
    """A task cleared after the start finds it started."""
    shop.started()
    asking.operator.execute(asking.context)
    assert [] == asking.sent
