"""`<experiment>_analyse` and `<experiment>_control` in Airflow itself, on a real ledger and real logs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest

from include.contracts.experiment_results import ExperimentVerdict
from include.contracts.experiments import ExperimentState
from tests.adapters.ledger.trials import BEGAN
from tests.dags.parsing import ROOT, parsing_environment
from tests.experiments.world import World, world

pytestmark = pytest.mark.slow  # six runs of Airflow take most of a minute

_RUNS = """
import json, sys
from airflow.dag_processing.dagbag import DagBag

def run(file, dag_id, conf):
    dag = DagBag(dag_folder=f"dags/{file}.py").get_dag(dag_id)
    done = dag.test(logical_date=None, run_conf=conf)
    tasks = {ti.task_id: str(ti.state) for ti in done.get_task_instances()}
    return {"state": str(done.state), "tasks": tasks}

print(json.dumps([run(*each) for each in json.loads(sys.argv[1])]))
"""


def moment(day: float) -> str:
    """Return an event time some days after the start."""
    return (BEGAN + timedelta(days=day)).isoformat()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, list[dict]]]:
    """Runs of a ramped experiment whose treatment fails, analysed, read, advanced and stopped."""
    home = tmp_path_factory.mktemp("airflow")
    for running in world(home, ramp=[0.2]):
        running.expose(range(2_000), share=0.2, failing=(0.01, 0.01))
        running.expose(range(2_000, 4_000), day=2, share=0.2, failing=(0.01, 0.2))
        environment = parsing_environment(home) | {
            "NINETY_HOME": str(running.settings.home),
            "NINETY_MODEL_FOLDERS": json.dumps([str(running.folder.path.parent)]),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        }
        control = ("experiment_control", "offers_control")
        analyse = ("experiment_analyse", "offers_analyse")
        runs = [
            (*control, {"as_of": moment(1), "action": "read"}),
            (*analyse, {"as_of": moment(1)}),
            (*control, {"as_of": moment(1), "action": "advance"}),
            (*analyse, {"as_of": moment(3)}),
            (*control, {"as_of": moment(4), "action": "stop", "reason": "it is over"}),
            (*control, {"as_of": moment(4), "action": "start"}),
        ]
        python = [sys.executable, "-W", "ignore"]
        migrate = [*python, "-m", "airflow", "db", "migrate"]
        subprocess.run(migrate, env=environment, cwd=ROOT, check=True, capture_output=True)
        done = subprocess.run(
            [*python, "-c", _RUNS, json.dumps(runs)],
            env=environment,
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
        yield running, json.loads(done.stdout.splitlines()[-1])


def test_reading_and_advancing_go_their_own_way(ran: tuple[World, list[dict]]) -> None:
    """One run does one thing; the share follows the plan's ramp, in ledger and route."""
    running, (read, _, advanced, *_) = ran
    assert ("success", "success", "skipped", "skipped") == tuple(
        read["tasks"][name] for name in ("choose", "read", "start", "settle")
    )
    assert ("success", "success", "skipped") == tuple(
        advanced["tasks"][name] for name in ("advance", "settle", "stop")
    )
    assert 0.5 == running.ledger.experiments("churn", "offers")[-1].share


def test_harm_takes_the_traffic_away(ran: tuple[World, list[dict]]) -> None:
    """The first analysis goes on, the second rolls back, and somebody is told."""
    running, (_, first, _, second, *_) = ran
    assert {"success"} == {*first["tasks"].values(), *second["tasks"].values()}
    found = running.ledger.analyses("churn", "offers-1")
    assert [ExperimentVerdict.CONTINUE, ExperimentVerdict.ROLLBACK] == [each.verdict for each in found]
    ended = running.ledger.experiment("offers-1")
    assert ExperimentState.ROLLED_BACK is ended.state
    assert running.ledger.route("churn").challenger is None
    [alert] = running.ledger.open_alerts("churn")
    assert alert.content.message.startswith("ROLLBACK: Harm beyond a margin is shown.")
    assert running.ledger.verify() > 0


def test_what_is_over_is_neither_stopped_again_nor_started(ran: tuple[World, list[dict]]) -> None:
    """Stopping changes nothing; a used salt fails before anybody is asked."""
    running, (*_, stopped, started) = ran
    assert ("success", "success") == (stopped["state"], stopped["tasks"]["stop"])
    assert ExperimentState.ROLLED_BACK is running.ledger.experiment("offers-1").state
    assert ("failed", "upstream_failed") == (started["tasks"]["approve"], started["tasks"]["start"])
