"""Alerts through Airflow's own hooks, to a server that speaks as Slack and PagerDuty do."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.config.settings import REPOSITORY_ROOT
from include.contracts.alerts import AlertContent, AlertKind, Severity
from include.contracts.bulletins import RUNBOOKS, Sites, Target
from include.monitoring.deliver_alerts import Delivered, deliver_alerts
from tests.plugins.vendors import Vendors, certificate, vendors

TOKEN = "xoxb-secret"  # noqa: S105 - of nobody
KEY = "0123456789abcdef0123456789abcdef"
SITES = Sites("https://airflow.example")
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CHURN = Target("#ml-alerts", Severity.WARNING)

# Airflow's clients of connections warn of what is none of our doing.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def alert_routes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Give the plugin, imported as Airflow does."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.syspath_prepend(str(REPOSITORY_ROOT / "plugins"))
    yield import_module("alert_routes")
    sys.modules.pop("alert_routes", None)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendors]:
    """Give the vendors, whose certificate is trusted."""
    identity = certificate(tmp_path / "vendors.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(identity))
    with vendors(identity) as running:
        yield running


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Give a ledger."""
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    upgrade(url)
    opened = Ledger(url)
    yield opened
    opened.close()


def connect(patch: pytest.MonkeyPatch, name: str, **fields: object) -> None:
    """Configure a connection as operators may: by an environment variable."""
    patch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(fields))


def slack_api(patch: pytest.MonkeyPatch, server: Vendors) -> None:
    """Connect to Slack as a bot."""
    extra = {"base_url": f"{server.url}/api/", "channel": "#platform"}
    connect(patch, "alerts_slack", conn_type="slack", password=TOKEN, extra=extra)


def pagerduty(patch: pytest.MonkeyPatch, server: Vendors) -> None:
    """Connect to PagerDuty."""
    connect(patch, "alerts_pagerduty", conn_type="pagerduty_events", password=KEY, host=server.url)


def content(subject: str = "visits", severity: Severity = Severity.WARNING) -> AlertContent:
    """Return what is said about a drifted feature."""
    return AlertContent(
        kind=AlertKind.FEATURE_DRIFT,
        subject=subject,
        model="churn",
        severity=severity,
        message=f"{subject} drifted <!channel>",
        figures={"ks": 0.4},
        page="/dags/churn_feature_drift",
        report_uri="artefacts/reports/1.html",
    )


def drain(ledger: Ledger, plugin: ModuleType, later: int = 0, target: Target = CHURN) -> Delivered:
    """Run the courier some minutes after noon."""
    routes = plugin.configured_routes(SITES)
    return deliver_alerts(ledger, routes, lambda _: target, NOW + timedelta(minutes=later))


def test_runbooks_are_where_the_pages_have_them(alert_routes: ModuleType) -> None:
    """Messages link to the operator's page of the kind."""
    assert import_module("operators_seat").PREFIX + "/runbooks" == RUNBOOKS


def test_nothing_configured_is_no_route(alert_routes: ModuleType) -> None:
    """Alerts then stay in the ledger and on the page."""
    assert [] == alert_routes.configured_routes(SITES)


def test_a_bot_tells_the_contracts_channel_and_follows_up_in_the_thread(
    alert_routes: ModuleType, ledger: Ledger, server: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is raised is a message, what is answered and resolved a reply to it; mentions are disarmed."""
    slack_api(monkeypatch, server)
    alert = ledger.raise_alert(content(), "system")
    drain(ledger, alert_routes)
    ledger.acknowledge_alert(alert.alert_id, "olga", "known")
    drain(ledger, alert_routes)
    ledger.resolve_alert(alert.alert_id, "system", "no drift")
    drain(ledger, alert_routes)
    raised, seen, resolved = server.requests
    assert ("/api/chat.postMessage", f"Bearer {TOKEN}") == (raised.path, raised.headers["Authorization"])
    assert "#ml-alerts" == raised.body["channel"]
    said = json.dumps(raised.body["blocks"])
    assert "visits drifted &lt;!channel&gt;" in said
    assert "<https://airflow.example/dags/churn_feature_drift|page>" in said
    assert "<https://airflow.example/ninety/runbooks/feature_drift|runbook>" in said
    assert "artefacts/reports/1.html" in said
    assert "acknowledged by olga (known)" in json.dumps(seen.body["blocks"])
    assert ("1.1", False) == (seen.body["thread_ts"], seen.body["reply_broadcast"])
    assert "resolved, no drift" in json.dumps(resolved.body["blocks"])
    assert ("1.1", True) == (resolved.body["thread_ts"], resolved.body["reply_broadcast"])


def test_without_a_channel_of_its_own_a_model_uses_the_connections(
    alert_routes: ModuleType, ledger: Ledger, server: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that names none either is a route that fails, and says what to set."""
    slack_api(monkeypatch, server)
    ledger.raise_alert(content(), "system")
    drain(ledger, alert_routes, target=Target())
    assert ["#platform"] == [request.body["channel"] for request in server.requests]
    connect(monkeypatch, "alerts_slack", conn_type="slack", password=TOKEN)
    ledger.raise_alert(content("age"), "system")
    assert {"slack": 1} == drain(ledger, alert_routes, target=Target()).failed
    (note,) = [each for each in ledger.deliveries(a.alert_id for a in ledger.open_alerts()) if each.error]
    assert "names a channel" in str(note.error)


def test_an_incoming_webhook_will_do(
    alert_routes: ModuleType, ledger: Ledger, server: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a channel of its own, and no threads."""
    hook = {"conn_type": "slackwebhook", "host": f"{server.url}/services", "password": "T/B/x"}
    connect(monkeypatch, "alerts_slack", **hook)
    ledger.raise_alert(content(), "system")
    assert {"slack": 1} == drain(ledger, alert_routes).sent
    (request,) = server.requests
    assert ("/services/T/B/x", True) == (request.path, "channel" not in request.body)


def test_pagerduty_has_one_incident_a_group_from_first_to_last(
    alert_routes: ModuleType, ledger: Ledger, server: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two features that drift are one incident; it is resolved with the last of them."""
    pagerduty(monkeypatch, server)
    first = ledger.raise_alert(content(), "system")
    drain(ledger, alert_routes)
    second = ledger.raise_alert(content("age", Severity.CRITICAL), "system")
    drain(ledger, alert_routes)
    ledger.acknowledge_alert(first.alert_id, "olga")
    drain(ledger, alert_routes)
    ledger.acknowledge_alert(second.alert_id, "olga")
    drain(ledger, alert_routes)
    ledger.resolve_alert(first.alert_id, "system", "no drift")
    drain(ledger, alert_routes)
    ledger.resolve_alert(second.alert_id, "system", "no drift")
    drain(ledger, alert_routes)
    sent = [request.body for request in server.requests]
    assert ["trigger", "trigger", "acknowledge", "resolve"] == [body["event_action"] for body in sent]
    assert {("ninety:churn:feature_drift", KEY)} == {
        (body["dedup_key"], body["routing_key"]) for body in sent
    }
    assert {"warning"} == {body["payload"]["severity"] for body in sent}
    assert {"visits": {"ks": 0.4}, "age": {"ks": 0.4}} == sent[1]["payload"]["custom_details"]["alerts"]
    assert "https://airflow.example/ninety/runbooks/feature_drift" in [
        link["href"] for link in sent[0]["links"]
    ]
    assert ledger.undelivered_alerts() == ()


def test_pagerduty_wakes_nobody_for_a_warning_unless_the_contract_says_so(
    alert_routes: ModuleType, ledger: Ledger, server: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the contract names no severity, an error pages with its own."""
    pagerduty(monkeypatch, server)
    ledger.raise_alert(content(), "system")
    drain(ledger, alert_routes, target=Target())
    assert [] == server.requests
    ledger.raise_alert(content(severity=Severity.ERROR), "system")
    drain(ledger, alert_routes, target=Target())
    assert ["error"] == [request.body["payload"]["severity"] for request in server.requests]


@pytest.mark.parametrize(
    "refusal",
    [
        (500, "broken"),
        (429, "slow down"),
        (200, json.dumps({"ok": False, "error": "invalid_auth"})),
        (403, f"bad credentials {TOKEN} {KEY}"),
    ],
)
def test_a_refusal_is_one_attempt_and_tried_again_later(
    alert_routes: ModuleType,
    ledger: Ledger,
    server: Vendors,
    monkeypatch: pytest.MonkeyPatch,
    refusal: tuple[int, str],
) -> None:
    """No client retries by itself for minutes; what is noted holds no secret; the next one gets through."""
    slack_api(monkeypatch, server)
    pagerduty(monkeypatch, server)
    alert = ledger.raise_alert(content(), "system")
    server.refusals = [refusal, refusal]
    assert {"slack": 1, "pagerduty": 1} == drain(ledger, alert_routes).failed
    assert len(server.requests) == 2
    notes = {note.route: note for note in ledger.deliveries([alert.alert_id])}
    assert TOKEN not in str(notes["slack"].error)
    assert KEY not in str(notes["pagerduty"].error)
    done = drain(ledger, alert_routes, later=1)
    assert ({"slack": 1, "pagerduty": 1}, 0) == (done.sent, done.waiting)


def test_a_vendor_that_is_away_is_a_refusal(
    alert_routes: ModuleType, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens at the address: the drain ends, with what is waiting noted."""
    nowhere = Vendors(url="https://127.0.0.1:9")
    slack_api(monkeypatch, nowhere)
    pagerduty(monkeypatch, nowhere)
    ledger.raise_alert(content(), "system")
    done = drain(ledger, alert_routes)
    assert ({"slack": 1, "pagerduty": 1}, 1) == (done.failed, done.waiting)
