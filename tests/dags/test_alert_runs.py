"""`alerts_deliver` in Airflow itself, and what Prometheus sees of it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.contracts.alerts import AlertContent, AlertKind
from tests.dags.parsing import ROOT, parsing_environment
from tests.plugins.vendors import Vendors, certificate, vendors

_RUN = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from fastapi.testclient import TestClient
from sqlalchemy import select
import platform_metrics
client = TestClient(platform_metrics.metrics_app())
before = client.get("/metrics").text
run = DagBag(dag_folder=sys.argv[1]).get_dag("alerts_deliver").test(logical_date=None)
states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
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
            [*python, "-c", _RUN, str(ROOT / "dags" / "alerts.py")],
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
    assert {"watch_monitors": "success", "deliver": "success"} == found["states"]
    (request,) = server.requests
    assert ("#platform", "unfit" in request.body["text"]) == (request.body["channel"], True)
    assert ledger.undelivered_alerts() == ()


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
