import json
from pathlib import Path
from typing import Any

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from tests.adapters.ledger.trials import PLAN, started
from tests.dags.parsing import ROOT, parse, parsing_environment
from tests.experiments.world import model_folder, write_plan

HEAVY = ("pandas", "numpy", "torch", "feast", "mlflow", "evidently", "duckdb", "pyarrow", "onnxruntime")

# A new DAG file is written down here, so that none escapes the tests.
KNOWN = {
    "features": {"features_materialize"},
    "compaction": {"predictions_compact"},
    "skew": {"features_skew_audit"},
    "labels": {"churn_labels", "spend_labels"},
    "train": {"churn_train", "spend_train"},
    "batch_score": {"churn_batch_score", "spend_batch_score"},
    "experiment_analyse": set(),
    "experiment_control": set(),
    "release": {"churn_release", "spend_release"},
    "feature_drift": {"churn_feature_drift", "spend_feature_drift"},
    "prediction_drift": {"churn_prediction_drift", "spend_prediction_drift"},
    "performance": {"churn_performance", "spend_performance"},
    "ramp_control": {"churn_ramp_pause", "spend_ramp_pause", "churn_ramp_resume", "spend_ramp_resume"},
    "rollback": {"churn_rollback", "spend_rollback"},
    "alerts": {"alerts_deliver"},
    "objectives": {"churn_objectives", "spend_objectives"},
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What a DAG processor's environment holds, as far as parsing goes."""
    return parsing_environment(tmp_path)


def test_every_dag_file_is_known():
    """A file nobody listed is a file nobody tests."""
    assert set(KNOWN) == {path.stem for path in (ROOT / "dags").glob("*.py")}


@pytest.fixture(scope="module")
def every_file(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each DAG file of the repository defines and imports."""
    return parse(list(KNOWN), parsing_environment(tmp_path_factory.mktemp("airflow")))


@pytest.mark.parametrize("name", KNOWN)
def test_a_dag_file_parses_light_and_documented(name, every_file):
    """It defines its DAGs, each with a page of its own, and imports nothing heavy."""
    parsed = every_file[name]
    assert set(parsed["dags"]) == KNOWN[name]
    assert all(
        dag["doc"] and any(tag.startswith("stage:") for tag in dag["tags"]) for dag in parsed["dags"].values()
    )
    assert not set(parsed["imports"]) & set(HEAVY)


def test_a_broken_contract_breaks_only_its_own(environment, tmp_path):
    """The broken model's DAG shows the error; the other model's parses as ever."""
    broken = tmp_path / "models" / "broken"
    broken.mkdir(parents=True)
    (broken / "contract.yaml").write_text("name: broken\nlabel: {delay: soon}\n")
    folders = json.dumps([str(ROOT / "include" / "models"), str(broken.parent)])
    dags = parse(["labels"], environment | {"NINETY_MODEL_FOLDERS": folders})["labels"]["dags"]
    assert "label.delay" in dags["broken_labels"]["doc_md"]
    assert "broken-contract" not in dags["churn_labels"]["tags"]


@pytest.fixture
def experimenting(environment, tmp_path) -> dict[str, str]:
    """The same with a model that has two experiments, one of them broken."""
    folder = model_folder(tmp_path, PLAN)
    write_plan(folder, PLAN | {"name": "broken", "variants": []})
    return environment | {"NINETY_MODEL_FOLDERS": json.dumps([str(folder.path.parent)])}


def test_experiments_have_dags_and_a_broken_plan_breaks_only_its_own(experimenting):
    """Its DAG shows what is wrong; the other parses light, documented, without a schedule."""
    parsed = parse(["experiment_analyse", "experiment_control"], experimenting)
    for stage in ("analyse", "control"):
        file = parsed[f"experiment_{stage}"]
        assert {f"offers_{stage}", f"broken_{stage}"} == set(file["dags"])
        assert "an experiment compares 2 to 10 versions" in file["dags"][f"broken_{stage}"]["doc_md"]
        assert ["model:churn", "stage:experiments"] == file["dags"][f"offers_{stage}"]["tags"]
        assert "NullTimetable" == file["dags"][f"offers_{stage}"]["schedule"]
        assert not set(file["imports"]) & set(HEAVY)


def test_an_experiment_is_analysed_by_itself_while_it_runs(experimenting):
    """Its schedule comes with its start; its control never runs by itself."""
    url = f"sqlite:///{experimenting['NINETY_HOME']}/ledger/ledger.sqlite3"
    upgrade(url)
    ledger = Ledger(url)
    started(ledger)
    ledger.close()
    parsed = parse(["experiment_analyse", "experiment_control"], experimenting)
    assert "Cron" in parsed["experiment_analyse"]["dags"]["offers_analyse"]["schedule"]
    assert "NullTimetable" == parsed["experiment_control"]["dags"]["offers_control"]["schedule"]


def test_a_retired_model_runs_by_itself_no_more(environment):
    """Its DAGs are there, tagged, with the reason on their page and no schedule; the other model's go on."""
    url = f"sqlite:///{environment['NINETY_HOME']}/ledger/ledger.sqlite3"
    upgrade(url)
    ledger = Ledger(url)
    ledger.retire_model("churn", actor="ada", reason="replaced by loyalty")
    ledger.close()
    dags = parse(["labels"], environment)["labels"]["dags"]
    assert "retired" in dags["churn_labels"]["tags"]
    assert "replaced by loyalty" in dags["churn_labels"]["doc_md"]
    assert ("NullTimetable", True) == (
        dags["churn_labels"]["schedule"],
        "Cron" in dags["spend_labels"]["schedule"],
    )


@pytest.mark.parametrize("name", KNOWN)
def test_a_dag_tells_whose_it_is_and_what_to_do(name, every_file):
    """Every task's owner has a link, the page names a runbook, a model's DAG carries the model's tag."""
    for dag_id, dag in every_file[name]["dags"].items():
        assert [] == dag["unlinked_owners"], dag_id
        assert "unbook" in dag["doc_md"], dag_id
        if dag_id.startswith(("churn_", "spend_")):
            assert f"model:{dag_id.partition('_')[0]}" in dag["tags"]


def test_every_task_of_a_model_leads_to_its_page(every_file):
    """From a red square to the reason; a training's to its gates, a batch's to a prediction's trace."""
    tasks = {
        (dag_id, task): links
        for name in KNOWN
        for dag_id, dag in every_file[name]["dags"].items()
        if dag_id.startswith(("churn_", "spend_"))
        for task, links in dag["links"].items()
    }
    assert [] == [task for task, links in tasks.items() if "What came of it" not in links]
    assert "Report" in tasks["churn_train", "register"]
    assert "Trace a prediction" in tasks["churn_batch_score", "publish"]
