from datetime import UTC, datetime, timedelta

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteUpdate
from include.contracts.alerts import AlertContent, Severity
from include.contracts.errors import ChainError
from include.contracts.keys import Verb
from include.contracts.releases import ReleaseStage
from include.contracts.retraining import RetrainReason
from tests.adapters.ledger.changes import advance_to_loaded, open_release, register, route_to, tamper

NOW = datetime(2017, 10, 1, tzinfo=UTC)

EDITS = {
    "route": (
        "UPDATE routes SET route = replace(route, '1.0.1', '6.6.6')",
        "routes: the row of churn was altered",
    ),
    "route's revision": ("UPDATE routes SET revision = 7", "routes: the row of churn was altered"),
    "route removed": ("DELETE FROM routes", "routes: the row of churn is gone"),
    "route added": (
        "INSERT INTO routes SELECT 'other', revision, route, changed_at FROM routes",
        "routes: the row of other was added",
    ),
    "snapshot": (
        "UPDATE route_snapshots SET snapshot = replace(snapshot, '1.0.1', '6.6.6') WHERE sequence = 2",
        "route_snapshots: the row of change 2 was altered",
    ),
    "snapshot added": (
        "INSERT INTO route_snapshots SELECT 3, '3-x', snapshot, recorded_at FROM route_snapshots LIMIT 1",
        "route_snapshots: the row of change 3 was added",
    ),
    "approval": ("UPDATE approvals SET decided_by = 'uma'", "approvals: the row of event 4 was altered"),
    "approval removed": ("DELETE FROM approvals", "approvals: the row of event 4 is gone"),
    "approval unreadable": ("UPDATE approvals SET decision = 'maybe'", "approvals: a row cannot be read"),
    "release": (
        "UPDATE releases SET approvers = '[\"eve\"]'",
        "releases: the row of r1 was altered",
    ),
    "release's stage": ("UPDATE releases SET stage = 'approved'", "releases: the row of r1 was altered"),
    "version": (
        "UPDATE versions SET artefact_sha256 = 'other' WHERE version = '1.0.0'",
        r"versions: the row of churn 1\.0\.0 was altered",
    ),
    "key": (
        "UPDATE api_keys SET sha256 = replace(sha256, substr(sha256, 1, 1), 'x') WHERE name = 'kept'",
        "api_keys: .* was altered",
    ),
    "key's scope": ("UPDATE api_keys SET models = '[\"*\"]' WHERE name = 'kept'", "api_keys: .* was altered"),
    "key's limit": (
        "UPDATE api_keys SET rate_per_second = 1e6 WHERE name = 'kept'",
        "api_keys: .* was altered",
    ),
    "key revived": ("UPDATE api_keys SET revoked_at = NULL", "api_keys: .* was altered"),
    "key outlives its successor's overlap": (
        "UPDATE api_keys SET expires_at = NULL",
        "api_keys: .* was altered",
    ),
    "key added": (
        "INSERT INTO api_keys SELECT 'key-x', name, 'nk_x', sha256, models, verbs, issued_at, expires_at,"
        " revoked_at, rate_per_second, burst FROM api_keys LIMIT 1",
        "api_keys: the row of key-x was added",
    ),
    "lease taken again": ("UPDATE leases SET closed_at = NULL", "leases: the row of r1 was altered"),
    "lease removed": ("DELETE FROM leases", "leases: the row of r1 is gone"),
    "retrain request": (
        "UPDATE retrain_requests SET claimed_by = NULL",
        "retrain_requests: the row of retrain-.* was altered",
    ),
    "retrain request removed": ("DELETE FROM retrain_requests", "retrain_requests: .* is gone"),
    "alert": (
        "UPDATE alerts SET body = replace(body, 'stale', 'fresh')",
        "alerts: the row of .* was altered",
    ),
    "alert resolved": (
        "UPDATE alerts SET resolved_at = raised_at WHERE resolved_at IS NULL",
        "alerts: the row of alert-.* was altered",
    ),
    "alert acknowledged by another": (
        "UPDATE alerts SET acknowledged_by = 'eve'",
        "alerts: the row of alert-.* was altered",
    ),
    "acknowledgement": (
        "UPDATE alerts SET acknowledgement = 'not mine'",
        "alerts: the row of alert-.* was altered",
    ),
    "resolution": ("UPDATE alerts SET resolution = 'never'", "alerts: the row of alert-.* was altered"),
    "escalation": ("UPDATE alerts SET escalated_at = NULL", "alerts: the row of alert-.* was altered"),
    "alert's twin": ("UPDATE alerts SET fingerprint = 'x'", "alerts: the row of alert-.* was altered"),
    "alert removed": ("DELETE FROM alerts", "alerts: the row of alert-.* is gone"),
    "key not json": ("UPDATE api_keys SET verbs = '['", "api_keys: a row cannot be read"),
}


@pytest.mark.parametrize("kind", EDITS)
def test_edited_state_is_found(ledger: Ledger, url: str, kind: str) -> None:
    """A row that says otherwise than the chain is named, whichever table it is in."""
    register(ledger)
    register(ledger, "1.0.1")
    release = advance_to_loaded(ledger, open_release(ledger))
    ledger.advance_release(
        "r1",
        release.revision,
        ReleaseStage.BAKING,
        actor="system",
        share=1.0,
        route=RouteUpdate(route_to("1.0.0"), 0),
    )
    ledger.change_route(RouteUpdate(route_to("1.0.1"), 1), actor="olga", reason="drill")
    ledger.issue_key("kept", ["churn"], [Verb.PREDICT], "ada")
    revoked, _ = ledger.issue_key("lost", ["churn"], [Verb.PREDICT], "ada")
    ledger.revoke_key(revoked.key_id, actor="ada", reason="lost")
    rotated, _ = ledger.issue_key("renewed", ["churn"], [Verb.PREDICT], "ada", rate_per_second=2.5)
    ledger.rotate_key(rotated.key_id, timedelta(hours=1), actor="ada")
    ledger.abandon("churn", actor="ada", reason="drill")
    ledger.request_retrain("churn", RetrainReason.DATA, NOW, "ada")
    ledger.claim_retrain("churn", "run-1", "ada")
    for subject in ("view:kept", "view:mended"):
        alert = ledger.raise_alert(AlertContent(kind="data_quality", subject=subject, message="stale"), "ada")
        ledger.acknowledge_alert(alert.alert_id, "olga", "on it")
    ledger.raise_alert(alert.content.model_copy(update={"severity": Severity.CRITICAL}), "ada")
    ledger.resolve_alert(alert.alert_id, "olga", "mended")
    assert ledger.verify() == 24
    edit, message = EDITS[kind]
    tamper(url, edit)
    with pytest.raises(ChainError, match=message):
        ledger.verify()
