import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Column, Float, Integer, String

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.ledger.tables import Document, Moment, metadata
from include.contracts.alerts import AlertContent, Severity
from include.contracts.errors import ChainError
from include.contracts.keys import Verb
from include.contracts.releases import ReleaseStage
from include.contracts.retraining import RetrainReason
from tests.adapters.ledger.changes import advance_to_loaded, open_release, register, route_to, tamper
from tests.adapters.ledger.trials import experiment, split

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


# Not held against the chain.
APART = {"events", "chain_head", "alert_deliveries", "monitor_runs", "measurements"}
"""The chain itself, which is proven first, couriers' notes, and what monitors measured: no state."""
COURIERS = {("alerts", "delivered_at")}
"""A courier's note, of which no event tells."""
COLUMNS = [
    (table.name, column)
    for table in metadata.sorted_tables
    if table.name not in APART
    for column in table.columns
    if (table.name, column.name) not in COURIERS
]
OTHER = {String: "'other'", Integer: "4711", Float: "0.4711", Document: "'[4711]'"}
"""SQL of a value that no row holds, by a column's type."""
OTHER_MOMENT = "'1999-01-01T00:00:00.000000+00:00'"


@pytest.mark.parametrize("kind", EDITS)
def test_edited_state_is_found(ledger: Ledger, url: str, kind: str) -> None:
    """A row that says otherwise than the chain is named, whichever table it is in."""
    assert fill(ledger) == 24
    edit, message = EDITS[kind]
    tamper(url, edit)
    with pytest.raises(ChainError, match=message):
        ledger.verify()


def test_every_column_is_held_against_the_chain(tmp_path: Path) -> None:
    """Each column of each table of state, altered by itself in one row, is found; put back, all is well."""
    database = tmp_path / "ledger.sqlite3"
    upgrade(f"sqlite:///{database}")
    ledger = Ledger(f"sqlite:///{database}")
    fill(ledger)
    ledger.start_experiment(experiment(), RouteUpdate(split(), 2))
    events = ledger.verify()
    missed = []
    for table, column in COLUMNS:
        name, value = column.name, other(column)
        [(place, before)] = behind_its_back(database, f"SELECT rowid, {name} FROM {table} LIMIT 1")  # noqa: S608 - our own names
        behind_its_back(database, f"UPDATE {table} SET {name} = {value} WHERE rowid = {place}")  # noqa: S608
        try:
            ledger.verify()
            missed.append(f"{table}.{name}")
        except ChainError:
            pass
        behind_its_back(database, f"UPDATE {table} SET {name} = ? WHERE {name} = {value}", before)  # noqa: S608
        assert events == ledger.verify()
    ledger.close()
    assert [] == missed


def other(column: Column) -> str:
    """Return SQL of a value that a column does not hold."""
    if isinstance(column.type, Moment):
        return OTHER_MOMENT
    return next(value for kind, value in OTHER.items() if isinstance(column.type, kind))


def behind_its_back(database: Path, sql: str, *values: object) -> list[tuple]:
    """Run SQL as somebody who has the file and keeps to none of its rules."""
    with sqlite3.connect(database) as raw:
        raw.execute("PRAGMA ignore_check_constraints = ON")
        for (trigger,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {trigger}")
        found = raw.execute(sql, values).fetchall()
    raw.close()
    return found


def fill(ledger: Ledger) -> int:
    """Write something into the tables of state; return the number of events."""
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
    return ledger.verify()
