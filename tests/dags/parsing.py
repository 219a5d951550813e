"""DAG files parsed as a DAG processor would: each in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

_PARSE = """
import json, os, runpy, sys
from airflow.sdk import DAG
before = set(sys.modules)

def parsed(path):
    found = [v for v in runpy.run_path(path).values() if isinstance(v, DAG)]
    dags = {
        d.dag_id: {
            "doc": bool(d.doc_md),
            "unlinked_owners": sorted({task.owner for task in d.tasks} - set(d.owner_links)),
            "links": {task.task_id: [link.name for link in task.operator_extra_links] for task in d.tasks},
            "tags": sorted(d.tags),
            "doc_md": d.doc_md,
            "schedule": type(d.timetable).__name__,
        }
        for d in found
    }
    return {"dags": dags, "imports": sorted({name.partition(".")[0] for name in set(sys.modules) - before})}

for path in sys.argv[1:]:
    child = os.fork()
    if not child:
        print("parsed:" + json.dumps(parsed(path)), flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{path} does not parse")
"""


def parse(names: Sequence[str], environment: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Parse DAG files, each in a process that knows Airflow and no other: what each defines and imports."""
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            _PARSE,
            *(str(ROOT / "dags" / f"{name}.py") for name in names),
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = (line.partition("parsed:")[2] for line in done.stdout.splitlines() if line.startswith("parsed:"))
    return dict(zip(names, map(json.loads, lines), strict=True))


def parsing_environment(home: Path) -> dict[str, str]:
    """Return what a DAG processor's environment holds, as far as parsing goes."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "AIRFLOW_HOME": str(home),
        "NINETY_HOME": str(home / "var"),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}",
    }
