"""`alerts_deliver` and `<model>_objectives` in Airflow itself, and what Prometheus sees of them."""

import json
import re
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.measurements import MeasurementStore
from include.contracts.alerts import AlertContent, AlertKind
from include.contracts.measurements import Monitor, Verdict
from tests.dags.parsing import ROOT, parsing_environment
from tests.plugins.vendors import Vendors, certificate, vendors

pytestmark = pytest.mark.slow

_RUN = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from fastapi.testclient import TestClient
import platform_metrics
client = TestClient(platform_metrics.metrics_app())
before = client.get("/metrics").text

def states_of(name, dag_id, **given):
    run = DagBag(dag_folder=f"{sys.argv[1]}/{name}.py").get_dag(dag_id).test(logical_date=None, **given)
    return {ti.task_id: str(ti.state) for ti in run.get_task_instances()}

states = states_of("alerts", "alerts_deliver")
states |= states_of("objectives", "churn_objectives", run_conf={"as_of": "2017-11-01T12:00:00Z"})
print(json.dumps({"states": states, "before": before, "after": client.get("/metrics").text}))
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Vendors, Ledger]:
    """One run with an alert in the outbox and Slack configured, between two looks of Prometheus."""
    home = tmp_path_factory.mktemp("airflow")
    environment = parsing_environment(home) | {
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "SSL_CERT_FILE": str(certificate(home / "vendors.pem")),
    }
    url = f"sqlite:///{environment['NINETY_HOME']}/ledger/ledger.sqlite3"
    upgrade(url)
    ledger = Ledger(url)
    ledger.raise_alert(
        AlertContent(kind=AlertKind.DATA_QUALITY, subject="source:a", message="unfit"), "system"
    )
    python = [sys.executable, "-W", "ignore"]
    migrate = [*python, "-m", "airflow", "db", "migrate"]
    subprocess.run(migrate, env=environment, cwd=ROOT, check=True, capture_output=True)
    with vendors(home / "vendors.pem") as server:
        extra = {"base_url": f"{server.url}/api/", "channel": "#platform"}
        slack = {"conn_type": "slack", "password": "xoxb-secret", "extra": extra}
        done = subprocess.run(
            [*python, "-c", _RUN, str(ROOT / "dags")],
            env=environment | {"AIRFLOW_CONN_ALERTS_SLACK": json.dumps(slack)},
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    return json.loads(done.stdout.splitlines()[-1]), server, ledger


def test_a_run_drains_the_outbox(ran: tuple[dict, Vendors, Ledger]) -> None:
    """Both tasks succeed, Slack got the one message, and nothing waits."""
    found, server, ledger = ran
    assert {"watch_monitors": "success", "deliver": "success", "watch": "success"} == found["states"]
    (request,) = server.requests
    assert ("#platform", "unfit" in request.body["text"]) == (request.body["channel"], True)
    assert ledger.undelivered_alerts() == ()


def test_a_look_at_the_objectives_is_stored(ran: tuple[dict, Vendors, Ledger]) -> None:
    """A run for a moment of the past looks from there; without requests it says so."""
    _, _, ledger = ran
    with closing(MeasurementStore(str(ledger._engine.url))) as store:
        run = store.last_run("churn", Monitor.OBJECTIVES)
    assert run is not None
    assert (datetime(2017, 11, 1, 12, tzinfo=UTC), Verdict.NO_DATA) == (run.as_of, run.verdict)


def test_prometheus_sees_it(ran: tuple[dict, Vendors, Ledger]) -> None:
    """Before the run nothing had ever succeeded and an alert was waiting; afterwards neither holds."""
    found, _, _ = ran
    assert "ninety_alerts_undelivered 1.0" in found["before"]
    assert "ninety_alerts_undelivered 0.0" in found["after"]
    assert 'ninety_alerts_open{kind="data_quality",severity="error"} 1.0' in found["after"]
    success = 'ninety_dag_success_timestamp_seconds{dag_id="alerts_deliver"} 1'
    assert (False, True) == (success in found["before"], success in found["after"])


def test_rules_ask_for_metrics_that_are_there(ran: tuple[dict, Vendors, Ledger]) -> None:
    """A rule on a metric nobody offers never fires."""
    found, _, _ = ran
    rules = Path(ROOT / "docker" / "prometheus" / "ninety.rules.yml").read_text(encoding="utf-8")
    offered = set(re.findall(r"^# TYPE (\w+)", found["after"], flags=re.M))
    assert set(re.findall(r"ninety_\w+", rules)) <= offered
