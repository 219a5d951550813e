"""`<model>_performance` in Airflow itself: a decline from its labels to the request for a training."""

import json
import subprocess
import sys
from contextlib import closing

import pytest

from include.adapters.ledger.ledger import Ledger
from include.contracts.measurements import Verdict
from tests.dags.parsing import ROOT, parsing_environment
from tests.monitoring.labelled_world import CHURN, Weather, moment_of, world

_RUN = """
import json, sys
from datetime import datetime
from airflow.dag_processing.dagbag import DagBag
dag = DagBag(dag_folder=sys.argv[1]).get_dag("churn_performance")
found = []
for arguments in json.loads(sys.argv[2]):
    moment = arguments["logical_date"] and datetime.fromisoformat(arguments["logical_date"])
    run = dag.test(**arguments | {"logical_date": moment})
    found.append({ti.task_id: str(ti.state) for ti in run.get_task_instances()} | {"run": str(run.state)})
print(json.dumps({"cron": dag.timetable.expression, "runs": found}))
"""
HEALTHY = 18


@pytest.mark.slow
def test_a_decline_comes_from_its_labels_to_a_request(tmp_path):
    """Runs by date and by conf; a day without anything; three bad days open an alert and ask, once."""
    environment = parsing_environment(tmp_path) | {
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    }
    made = world(tmp_path / "var")
    made.live(range(HEALTHY))
    made.live(range(HEALTHY, HEALTHY + 3), Weather(flipped=0.5))
    migrate = [sys.executable, "-W", "ignore", "-m", "airflow", "db", "migrate"]
    subprocess.run(migrate, env=environment, cwd=ROOT, check=True, capture_output=True)
    moments = [moment_of(day).isoformat() for day in (-5, *range(HEALTHY - 1, HEALTHY + 3))]
    runs = [{"logical_date": moment} for moment in moments]
    runs.append({"logical_date": None, "run_conf": {"as_of": moments[-1]}})
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            _RUN,
            str(ROOT / "dags" / "performance.py"),
            json.dumps(runs),
        ],
        env=environment,
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])

    quiet = {
        "join_labels": "success",
        "measure": "success",
        "raise_alerts": "success",
        "request_training": "skipped",
        "run": "success",
    }
    asked = quiet | {"request_training": "success"}
    assert ("0 0 * * *", [quiet] * 4 + [asked] * 2) == (found["cron"], found["runs"])
    verdicts = [run.verdict for run in made.store.runs("churn")]
    assert [Verdict.ALARM] * 3 == verdicts[:3]
    assert Verdict.NO_DATA == verdicts[-1]
    with closing(Ledger(made.settings.ledger_uri)) as ledger:
        [request] = ledger.retrain_requests("churn")
        assert ("system", moment_of(HEALTHY + 2)) == (request.requested_by, request.as_of)
        assert "whole" in {each.content.subject for each in ledger.open_alerts(CHURN.name)}
