"""The approval as Airflow runs it, against a real ledger and a real artefact store."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib import import_module
from inspect import signature
from pathlib import Path
from types import SimpleNamespace

import pytest

from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.packages import package_uri, publish_package
from include.config.settings import REPOSITORY_ROOT, settings
from include.contracts.packages import EVALUATION_NAME, Manifest
from include.contracts.releases import Decision, Release, ReleaseStage
from tests.registry.candidates import evaluation_report, model_folder, opened, training_record

RUN = {"run_id": "run-1", "task_instance": SimpleNamespace(id="ti-1")}
RELEASE = "churn-run-1"
ANSWERED_AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Give the ledger that tasks find in their settings."""
    monkeypatch.setenv("NINETY_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    upgrade(settings().ledger_uri)
    opened = Ledger(settings().ledger_uri)
    yield opened
    opened.close()
    settings.cache_clear()


@pytest.fixture
def release(ledger: Ledger, tmp_path: Path) -> Release:
    """Give the release of run-1, of a real package."""
    folder = model_folder(tmp_path / "models")
    report = evaluation_report().model_dump_json().encode()
    manifest = Manifest(
        **dict(training_record(folder, "run-a")), files={EVALUATION_NAME: sha256(report).hexdigest()}
    )
    digest = publish_package(ArtefactStore(settings().artefacts_folder), manifest, {EVALUATION_NAME: report})
    ledger.register_version(
        model="churn",
        version="1.0.0",
        artefact_sha256=digest,
        package_uri=package_uri("churn", digest),
        run_id="run-a",
        requested_by="ada",
        actor="ada",
    )
    return opened(ledger, folder.contract, "1.0.0", release_id=RELEASE, triggered_by="operator")


@pytest.fixture
def approval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Give the operator; what it sends to Airflow is kept in `approval.sent`."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.syspath_prepend(str(REPOSITORY_ROOT / "plugins"))
    hitl = import_module("airflow.providers.standard.operators.hitl")
    operator = import_module("release_approval").ReleaseApproval(
        task_id="approve", model="churn", response_timeout=timedelta(hours=1)
    )
    sent: list[dict] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **request: sent.append(request))
    yield SimpleNamespace(operator=operator, sent=sent, errors=import_module("airflow.sdk.exceptions"))
    for name in ("named_approval", "release_approval", "stage_task"):
        sys.modules.pop(name, None)


def ask(approval: SimpleNamespace) -> dict:
    """Run the task until it waits; return what Airflow keeps for its second half."""
    with pytest.raises(approval.errors.TaskAwaitingInput) as parked:
        approval.operator.execute(RUN)
    assert parked.value.method_name == "execute_complete"
    return parked.value.kwargs


def event(choice: str, user: str | None, reason: str | None = None) -> dict:
    """Return what Airflow makes of its record of a response."""
    return {
        "chosen_options": [choice],
        "params_input": {"reason": reason},
        "responded_at": ANSWERED_AT,
        "responded_by_user": {"id": user, "name": user} if user else None,
        "timedout": user is None,
    }


def test_question_comes_from_ledger_and_store(approval, release: Release) -> None:
    """Approvers, version and evidence are those of the release, whatever other tasks returned."""
    kept = ask(approval)
    (request,) = approval.sent
    assert [{"id": user, "name": user} for user in release.approvers] == request["assigned_users"]
    assert request["subject"] == "Release churn 1.0.0?"
    assert "| roc_auc | 0.8000 |" in request["body"]
    assert {"evidence_sha256": sha256(request["body"].encode()).hexdigest()} == kept


@pytest.mark.parametrize("choice", ["Approve", "Reject"])
def test_answer_goes_to_the_ledger(approval, release: Release, ledger: Ledger, choice: str) -> None:
    """Who answered, when, to what, and why; the task run again asks nobody and changes nothing."""
    yes = choice == "Approve"
    decision = Decision.APPROVED if yes else Decision.REJECTED
    stage = ReleaseStage.APPROVED if yes else ReleaseStage.REJECTED
    kept = ask(approval)
    approval.operator.execute_complete(RUN, event=event(choice, "approver", "looks right"), **kept)
    (given,) = ledger.approvals(RELEASE)
    assert (decision, "approver", ANSWERED_AT, "looks right", kept["evidence_sha256"]) == (
        given.decision,
        given.decided_by,
        given.decided_at,
        given.reason,
        given.evidence_sha256,
    )
    events = ledger.verify()
    approval.operator.execute(RUN)
    approval.operator.execute_complete(RUN, event=event(choice, "approver", "looks right"), **kept)
    assert (events, 1) == (ledger.verify(), len(approval.sent))
    found = ledger.release(RELEASE)
    assert found is not None
    assert stage is found.stage


@pytest.mark.parametrize("user", ["operator", "ada", "mallory", None])
def test_nobody_else_approves(approval, release: Release, ledger: Ledger, user: str | None) -> None:
    """Neither trigger-er nor requester nor stranger nor the deadline can say yes; there is no retry."""
    kept = ask(approval)
    with pytest.raises(approval.errors.AirflowFailException, match=r"may not answer|the answer is no"):
        approval.operator.execute_complete(RUN, event=event("Approve", user), **kept)
    assert ledger.approvals(RELEASE) == ()
    assert release == ledger.release(RELEASE)


def test_quorum_asks_those_who_have_not_answered(approval, ledger: Ledger, release: Release) -> None:
    """The second question of a quorum goes to the others; an answer by the first again is no second."""
    ledger.abandon("churn", actor="ada", reason="make room")
    two = ledger.open_release(
        **release.model_dump(
            include={*signature(ledger.open_release).parameters} - {"release_id", "quorum", "plan"}
        ),
        plan=release.plan,
        release_id="churn-run-2",
        quorum=2,
    )
    run = {**RUN, "run_id": "run-2"}
    first, second = release.approvers
    for user in (first, second):
        with pytest.raises(approval.errors.TaskAwaitingInput) as parked:
            approval.operator.execute(run)
        approval.operator.execute_complete(run, event=event("Approve", user), **parked.value.kwargs)
    assert [[first, second], [second]] == [[u["id"] for u in r["assigned_users"]] for r in approval.sent]
    assert [first, second] == [answer.decided_by for answer in ledger.approvals(two.release_id)]
    found = ledger.release(two.release_id)
    assert found is not None
    assert ReleaseStage.APPROVED is found.stage


def test_time_out_is_a_no(approval, release: Release, ledger: Ledger) -> None:
    """When time runs out nobody's no is recorded."""
    approval.operator.execute_complete(RUN, event=event("Reject", None), **ask(approval))
    assert [(Decision.REJECTED, None)] == [(a.decision, a.decided_by) for a in ledger.approvals(RELEASE)]


def test_damaged_package_is_not_shown(approval, release: Release, ledger: Ledger) -> None:
    """Nobody is asked about what is no longer what was registered."""
    version = ledger.version("churn", "1.0.0")
    assert version is not None
    path = ArtefactStore(settings().artefacts_folder).path(version.package_uri) / "evaluation.json"
    path.write_text(path.read_text().replace("0.8,", "0.9,"))
    with pytest.raises(approval.errors.AirflowFailException, match=r"evaluation\.json was altered"):
        approval.operator.execute(RUN)
    assert approval.sent == []
