"""DAG files parsed as a DAG processor would: each in a fresh process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

_PARSE = """
import json, runpy, sys
from airflow.sdk import DAG
before = set(sys.modules)
found = [v for v in runpy.run_path(sys.argv[1]).values() if isinstance(v, DAG)]
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps({
    "dags": {
        d.dag_id: {
            "doc": bool(d.doc_md),
            "tags": sorted(d.tags),
            "doc_md": d.doc_md,
            "schedule": type(d.timetable).__name__,
        }
        for d in found
    },
    "imports": sorted(new),
}))
"""


def parse(name: str, environment: dict[str, str]) -> dict[str, Any]:
    """Parse one DAG file in a fresh process and return what it defined and imported."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PARSE, str(ROOT / "dags" / f"{name}.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def parsing_environment(home: Path) -> dict[str, str]:
    """Return what a DAG processor's environment holds, as far as parsing goes."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "AIRFLOW_HOME": str(home),
        "NINETY_HOME": str(home / "var"),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}",
    }
