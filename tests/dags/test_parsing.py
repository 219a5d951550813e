import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("pandas", "numpy", "torch", "feast", "mlflow", "evidently", "duckdb", "pyarrow", "onnxruntime")

# A new DAG file is written down here, so that none escapes the tests.
KNOWN = {
    "features": {"features_materialize"},
    "skew": {"features_skew_audit"},
    "labels": {"churn_labels", "spend_labels"},
    "train": {"churn_train", "spend_train"},
    "batch_score": {"churn_batch_score", "spend_batch_score"},
    "release": {"churn_release", "spend_release"},
    "rollback": {"churn_rollback", "spend_rollback"},
}

PARSE = """
import json, runpy, sys
from airflow.sdk import DAG
before = set(sys.modules)
found = [v for v in runpy.run_path(sys.argv[1]).values() if isinstance(v, DAG)]
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps({
    "dags": {d.dag_id: {"doc": bool(d.doc_md), "tags": sorted(d.tags), "doc_md": d.doc_md} for d in found},
    "imports": sorted(new),
}))
"""


def parse(name: str, environment: dict[str, str]) -> dict:
    """Parse one DAG file in a fresh process and return what it defined and imported."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PARSE, str(ROOT / "dags" / f"{name}.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What a DAG processor's environment holds, as far as parsing goes."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "AIRFLOW_HOME": str(tmp_path),
        "NINETY_HOME": str(tmp_path / "var"),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}",
    }


def test_every_dag_file_is_known():
    """A file nobody listed is a file nobody tests."""
    assert set(KNOWN) == {path.stem for path in (ROOT / "dags").glob("*.py")}


@pytest.mark.parametrize("name", KNOWN)
def test_a_dag_file_parses_light_and_documented(name, environment):
    """It defines its DAGs, each with a page of its own, and imports nothing heavy."""
    parsed = parse(name, environment)
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
    dags = parse("labels", environment | {"NINETY_MODEL_FOLDERS": folders})["dags"]
    assert "label.delay" in dags["broken_labels"]["doc_md"]
    assert "broken-contract" not in dags["churn_labels"]["tags"]
