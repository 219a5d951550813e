"""`make bench-scale`: what one more entity, model and logged row costs; to docs/benchmarks/scale.*.

Small figures that sizing needs and no other benchmark has: bytes of an entity online in Redis, processor time
of parsing one model's DAGs, bytes of a row of the prediction log before it is compacted.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from matplotlib.figure import Figure as Picture

from include.adapters.files import replacing
from include.adapters.online_backend import redis_client
from include.adapters.online_rows import PROJECT, KeyBytes, field_of, pack, stamp_field_of
from include.adapters.prediction_log import PredictionLog
from include.adapters.segments import segments
from include.commands.bench_log import row
from include.commands.benchmark_record import BENCHMARKS, Figure, write_record
from include.commands.progress import Progress
from include.commands.services import redis_server
from include.commands.terminal import run_command
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.errors import PlatformError
from include.contracts.routes import EntityKey, EntityType

ENTITIES = 50_000
VIEWS = ("customer_spending", "customer_basket", "customer_demographics")
MODELS = 20
ROWS = 10_000
_VALUES = {
    "total_spend_30d": 123.45,
    "avg_order_value_30d": 23.4,
    "transaction_count_30d": 7,
    "days_since_last_purchase": 3.5,
    "preferred_category": "GROCERY",
}
"""Those of `customer_spending`."""
_SECONDS = 1_509_494_400
_PARSE = """
import sys, time
sys.path.insert(0, {plugins!r})
from airflow.dag_processing.dagbag import DagBag
for file in {files!r}:
    began = time.process_time()
    found = DagBag(dag_folder=file)
    print("parsed", len(found.dags), time.process_time() - began)
"""
NOTES = """An entity online has three views of five features each. A model's DAGs are parsed from copies of
churn, in all files that yield one DAG a model. A row of the log is of five features, as the gateway
writes it."""


def main() -> None:
    """Measure, write the figures, the table and the picture."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    run_command(record)


def record(folder: Path = BENCHMARKS) -> None:
    """Measure everything and write it down."""
    progress = Progress(total=3)
    with progress.step(f"bring {ENTITIES:,} entities online in Redis"):
        figures: dict[str, Figure] = {"redis_bytes_per_entity": redis_bytes() / ENTITIES, "views": len(VIEWS)}
    with progress.step(f"parse the DAGs of {MODELS} models"):
        figures |= parse_figures()
    with progress.step(f"log {ROWS:,} predictions"):
        figures["segment_bytes_per_row"] = segment_bytes() / ROWS
    libraries = ("apache-airflow-core", "redis", "msgspec")
    write_record("scale", "What one more costs", figures, libraries, folder, notes=NOTES)
    draw_picture(figures, folder)


def redis_bytes() -> int:
    """Return the bytes that entities take in an empty Redis."""
    key = KeyBytes(EntityKey(name="customer_id", type=EntityType.INT64))
    packed = pack((_SECONDS, _VALUES))
    with redis_server() as url:
        client = redis_client(Settings(online_store_url=url))
        before = client.info("memory")["used_memory"]
        for start in range(0, ENTITIES, 1_000):
            with client.pipeline(transaction=False) as pipe:
                for number in range(start, start + 1_000):
                    fields = {
                        name: value
                        for view in VIEWS
                        for name, value in ((stamp_field_of(view), _SECONDS), (field_of(view), packed))
                    }
                    pipe.hset(key.of(number) + PROJECT.encode(), mapping=fields)
                pipe.execute()
        return int(client.info("memory")["used_memory"] - before)


def parse_figures() -> dict[str, Figure]:
    """Return the processor seconds that parsing one model's DAGs takes.

    Raises:
        PlatformError: Airflow could not parse them.
    """
    with TemporaryDirectory() as temporary:
        home = Path(temporary)
        copy_models(home / "models", MODELS)
        told = parse(home)
    per_model = [seconds for dags, seconds in told if dags == MODELS]
    if not per_model:
        raise PlatformError("no file made one DAG a model")
    return {
        "models_parsed": MODELS,
        "dags_per_model": len(per_model),
        "parse_cpu_seconds_per_dag": sum(per_model) / len(per_model) / MODELS,
    }


def copy_models(folder: Path, count: int) -> None:
    """Write as many model folders, each a copy of churn under a name of its own."""
    source = REPOSITORY_ROOT / "include" / "models" / "churn"
    for number in range(count):
        target = folder / f"model_{number:04d}"
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "experiments"))
        contract = (target / "contract.yaml").read_text("utf-8")
        contract = re.sub(r"^name: churn", f"name: {target.name}", contract, flags=re.MULTILINE)
        (target / "contract.yaml").write_text(contract.replace("churn_v1", f"{target.name}_v1"), "utf-8")


def parse(home: Path) -> list[tuple[int, float]]:
    """Let Airflow parse every DAG file; return how many DAGs each made and what that took."""
    files = sorted(str(path) for path in (REPOSITORY_ROOT / "dags").glob("*.py"))
    environment = os.environ | {
        "PYTHONPATH": str(REPOSITORY_ROOT),
        "NINETY_HOME": str(home / "var"),
        "NINETY_MODEL_FOLDERS": f'["{home / "models"}"]',
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY_ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600",
    }
    script = _PARSE.format(plugins=str(REPOSITORY_ROOT / "plugins"), files=files)
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-W", "ignore", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise PlatformError(f"Airflow could not parse the DAGs: {done.stderr[-2000:]}")
    found = re.findall(r"^parsed (\d+) ([\d.e-]+)$", done.stdout, flags=re.MULTILINE)
    return [(int(dags), float(seconds)) for dags, seconds in found]


def segment_bytes() -> int:
    """Return the bytes of logged predictions before compaction."""
    with TemporaryDirectory() as folder:
        log = PredictionLog(Path(folder), 2**30)
        log.append([row(float(number), number, number / ROWS) for number in range(ROWS)])
        log.close()
        return sum(path.stat().st_size for path in segments(Path(folder)))


def draw_picture(figures: dict[str, Figure], folder: Path) -> None:
    """Draw the bytes."""
    picture = Picture(figsize=(8, 2.2), layout="constrained")
    axes = picture.subplots()
    bars = {"an entity online": "redis_bytes_per_entity", "a row logged": "segment_bytes_per_row"}
    drawn = axes.barh(list(bars), [float(figures[name]) for name in bars.values()])
    axes.bar_label(drawn, fmt="%.0f", padding=3)
    axes.set(xlabel="bytes", title="What one more costs")
    axes.margins(x=0.15)
    axes.invert_yaxis()
    with replacing(folder / "scale.png") as path:
        picture.savefig(path, format="png", dpi=120)


if __name__ == "__main__":
    main()
