"""`<model>_train` in Airflow itself: what it takes on, skips, and says at its end."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.contracts.events import EventKind
from include.contracts.retraining import RetrainReason
from tests.dags.parsing import ROOT, parsing_environment

pytestmark = pytest.mark.slow

_RUNS = """
import json, sys
from datetime import datetime, timezone
from airflow.dag_processing.dagbag import DagBag
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from include.adapters.ledger.ledger import Ledger
from include.config.settings import settings
from include.contracts.retraining import RetrainReason
dag = DagBag(dag_folder=sys.argv[1]).get_dag("churn_train")
found = []

def run_once():
    run = dag.test(logical_date=None, run_conf={"as_of": "2017-11-01T00:00:00Z"})
    states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
    found.append({"state": str(run.state), "tasks": states})

run_once()
moment = datetime.now(timezone.utc)
with create_session() as session:
    session.add(DagRun(
        dag_id="churn_train", run_id="other", run_type="manual", state="running", run_after=moment
    ))
ledger = Ledger(settings().ledger_uri)
ledger.request_retrain("churn", RetrainReason.MANUAL, moment, "ada")
ledger.claim_retrain("churn", "churn_train:other", "ada")
run_once()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict], Ledger]:
    """Two runs of a model without any data: one after a dead run's claim, one beside a living run's."""
    home = tmp_path_factory.mktemp("airflow")
    environment = parsing_environment(home) | {
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    }
    url = f"sqlite:///{environment['NINETY_HOME']}/ledger/ledger.sqlite3"
    upgrade(url)
    ledger = Ledger(url)
    ledger.request_retrain("churn", RetrainReason.DRIFT, datetime(2017, 10, 1, tzinfo=UTC), "ada")
    ledger.claim_retrain("churn", "churn_train:gone", "system")
    python = [sys.executable, "-W", "ignore"]
    migrate = [*python, "-m", "airflow", "db", "migrate"]
    subprocess.run(migrate, env=environment, cwd=ROOT, check=True, capture_output=True)
    arguments = [*python, "-c", _RUNS, str(ROOT / "dags" / "train.py")]
    done = subprocess.run(
        arguments, env=environment, cwd=ROOT, check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    return json.loads(done.stdout.splitlines()[-1]), ledger


def test_a_run_without_data_fails_and_puts_back_what_it_took_on(ran):
    """What its person asked for is over, with how it ended; the request it found waits again."""
    (first, _), ledger = ran
    states = first["tasks"]
    assert ("success", "failed", "upstream_failed", "success") == tuple(
        states[name] for name in ("claim", "freeze_training_set", "register", "end_claim")
    )
    assert "failed" == first["state"]
    assert "churn_train:gone" not in ledger.claimants("churn")
    (ended,) = ledger.events(kind=EventKind.RETRAIN_ENDED)
    assert ("manual", "failed before it was judged") == (ended.payload["reason"], ended.payload["outcome"])
    returned = ledger.events(kind=EventKind.RETRAIN_RETURNED)
    assert ["its run ended without a word", "failed before it was judged"] == [
        event.payload["outcome"] for event in returned
    ]
    assert ledger.verify() > 0


def test_of_two_at_once_one_trains_and_the_other_is_skipped(ran):
    """The run beside a living one ends well, with nothing done and nothing claimed."""
    (_, second), ledger = ran
    assert ("success", {"skipped"}) == (second["state"], set(second["tasks"].values()))
    assert ("churn_train:other",) == ledger.claimants("churn")
