"""The monitors of drift in Airflow itself, on a contract whose block is as teams write it."""

import json
import subprocess
import sys
from contextlib import closing

import pytest
import yaml

from include.adapters.measurements import MeasurementStore
from include.contracts.measurements import Monitor, Verdict
from tests.contracts.test_model import MONITORING_BLOCK
from tests.dags.parsing import ROOT, parsing_environment
from tests.monitoring.world import AS_OF, DAY, World, world

_RUN = """
import json, sys
from datetime import datetime
from airflow.dag_processing.dagbag import DagBag
from include.config.settings import settings
bag = DagBag(dag_folder=sys.argv[1])
dag = bag.get_dag(sys.argv[2])
found = []
for arguments in json.loads(sys.argv[3]):
    moment = arguments["logical_date"] and datetime.fromisoformat(arguments["logical_date"])
    run = dag.test(**arguments | {"logical_date": moment})
    found.append({ti.task_id: str(ti.state) for ti in run.get_task_instances()} | {"run": str(run.state)})
print(json.dumps({"cron": dag.timetable.expression, "runs": found}))
"""


def run_in_airflow(place: World, environment: dict[str, str], stage: str, runs: list[dict]) -> dict:
    """Run one DAG as often as there are arguments; return its cron and the states of its tasks."""
    given = [str(ROOT / "dags" / f"{stage}.py"), f"churn_{stage}", json.dumps(runs)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _RUN, *given],
        env=environment,
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_the_block_as_it_stands_runs(tmp_path, monkeypatch):
    """Loaded letter for letter with two settings, scheduled as it says, and each key acts on real rows."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    place = world(tmp_path / "var")
    place.release()
    contract = place.folder.path / "contract.yaml"
    plain = yaml.safe_load(contract.read_text())
    del plain["monitoring"]
    contract.write_text(yaml.safe_dump(plain) + MONITORING_BLOCK.read_text())
    (tmp_path / "training-data").mkdir()
    place.history.to_parquet(tmp_path / "training-data" / "v3.parquet")
    place.log(place.asked().assign(total_spend_30d=lambda rows: rows["total_spend_30d"] * 100, score=2_000.0))
    environment = parsing_environment(tmp_path) | {
        "NINETY_MODEL_FOLDERS": json.dumps([str(place.folder.path.parent)]),
        "NINETY_REFERENCE_DATASETS": json.dumps({"s3://ml-artifacts/": f"{tmp_path}/"}),
        "NINETY_PIPELINES": json.dumps({"ml-pipelines/retrain-v2": "{model}_train"}),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    }
    migrate = [sys.executable, "-W", "ignore", "-m", "airflow", "db", "migrate"]
    subprocess.run(migrate, env=environment, cwd=ROOT, check=True, capture_output=True)
    empty = (AS_OF - 9 * DAY).isoformat()
    runs = [
        {"logical_date": AS_OF.isoformat()},
        {"logical_date": None, "run_conf": {"as_of": empty}},
        {"logical_date": None, "run_conf": {"as_of": AS_OF.isoformat()}},
    ]
    inputs = run_in_airflow(place, environment, "feature_drift", runs)
    scores = run_in_airflow(place, environment, "prediction_drift", runs)
    whole = {"measure": "success", "alert": "success", "report": "success", "run": "success"}
    assert ("0 */6 * * *", [whole, whole | {"report": "skipped"}, whole]) == (inputs["cron"], inputs["runs"])
    without_page = {name: state for name, state in whole.items() if name != "report"}
    assert ("0 * * * *", [without_page] * 3) == (scores["cron"], scores["runs"])
    with closing(MeasurementStore(place.settings.ledger_uri)) as store:
        verdicts = {
            monitor: [run.verdict for run in store.runs("churn", monitor=monitor)]
            for monitor in (Monitor.FEATURE_DRIFT, Monitor.PREDICTION_DRIFT)
        }
        page = store.last_run("churn", Monitor.FEATURE_DRIFT).report_uri
    assert {monitor: [Verdict.ALARM, Verdict.NO_DATA] for monitor in verdicts} == verdicts
    assert (place.settings.artefacts_folder / page).is_file()
    with place.ledger() as ledger:
        alerts = {(each.content.kind.value, each.content.subject) for each in ledger.open_alerts("churn")}
    assert {("feature_drift", "total_spend_30d"), ("prediction_drift", "score:champion")} <= alerts
