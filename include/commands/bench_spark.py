"""`make bench-spark`: feature SQL and point-in-time joins, DuckDB beside a cluster of Spark on this machine.

On one machine Spark cannot win: its processes share the cores that DuckDB has alone. What is measured is what
its way of working costs, round by round, so that the ratio holds where the figures do not.
"""

import os
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic

import pyarrow.parquet
from matplotlib.figure import Figure as Picture

from include.adapters.engines import open_engine
from include.adapters.files import replacing
from include.adapters.sources import open_sources
from include.commands.bench_features_runs import replicate
from include.commands.benchmark_record import BENCHMARKS, Figure, write_record
from include.commands.spark_cluster import ensure_java, spark_cluster
from include.commands.terminal import run_command
from include.config.settings import EngineName, Settings
from include.contracts.views import TIMESTAMP
from include.features.materialize import computed_tables, publish_features, stage_features
from include.features.store import open_store
from include.features.views import load_views

TITLE = "Spark beside DuckDB"
VIEW = "customer_spending"
DAYS = date(2017, 7, 1), date(2017, 7, 7)
AS_OF = datetime(2017, 7, 8, tzinfo=UTC)
JOINED = ("total_spend_30d", "transaction_count_30d", "preferred_category")


def main() -> None:
    """Measure as the command line says."""
    parser = ArgumentParser(prog="make bench-spark", description=__doc__)
    parser.add_argument("--times", type=int, default=10, help="how many times each household is there")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    run_command(lambda: measure(given.times, given.rounds))


def measure(times: int, rounds: int) -> None:
    """Run both engines in turn and keep what they took.

    Raises:
        PlatformError: Spark or Java is not installed.
    """
    ensure_java(install=os.geteuid() == 0)
    with TemporaryDirectory() as folder, _cluster(Path(folder)) as master:
        replicate(folder, times)()
        here = Settings(home=Path(folder) / "home", sources={"purchases": f"{folder}/purchases.parquet"})
        there = here.model_copy(update={"engine": EngineName.SPARK, "spark_master": master})
        both = {"duckdb": here, "spark": there}
        figures: dict[str, Figure] = {"households_times": times, "spark_workers": 2, "rounds": rounds}
        computed = [{name: _features(each) for name, each in both.items()} for _ in range(rounds)]
        figures |= _rates("features", computed)
        publish_features(here, [DAYS[0]], AS_OF, stage_features(here, [DAYS[0]], AS_OF, [VIEW]))
        joined = [{name: _join(each) for name, each in both.items()} for _ in range(rounds)]
        figures |= _rates("join", joined)
    print(write_record("spark", TITLE, figures, ["pyspark", "duckdb", "feast", "sqlglot"]).read_text())
    _draw(figures)


@contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    with spark_cluster(folder / "cluster", memory="2g") as cluster:
        os.environ.update(cluster.spark_environment)
        yield cluster.master


def _features(settings: Settings) -> float:
    """Return the rows a second of a week of a view, sources opened and checked anew."""
    view, began, rows = load_views(settings)[VIEW], monotonic(), 0
    with open_sources(settings, AS_OF, view.definition.sources, engine=open_engine(settings)) as sources:
        rows = sum(table.num_rows for table in computed_tables(sources, view, *DAYS))
    return rows / (monotonic() - began)


def _join(settings: Settings) -> float:
    """Return the rows a second of a day's features joined to every entity of that day."""
    files = sorted((settings.offline_folder / VIEW).glob("*.parquet"))
    keys = pyarrow.parquet.read_table(files[0], columns=["customer_id", TIMESTAMP])
    store, began = open_store(settings), monotonic()
    job = store.get_historical_features(keys.to_pandas(), [f"{VIEW}:{name}" for name in JOINED])
    return int(job.to_arrow().num_rows) / (monotonic() - began)


def _rates(what: str, rounds: list[dict[str, float]]) -> dict[str, Figure]:
    """Return the median rates of each engine, and the median ratio of a round."""
    found: dict[str, Figure] = {
        f"{what}_{name}_rows_per_second": round(median(each[name] for each in rounds)) for name in rounds[0]
    }
    ratio = median(each["spark"] / each["duckdb"] for each in rounds)
    return found | {f"{what}_spark_to_duckdb_ratio": round(ratio, 4)}


def _draw(figures: Mapping[str, Figure]) -> None:
    picture = Picture(figsize=(6, 3), layout="constrained")
    axes = picture.subplots()
    names = [name for name in figures if name.endswith("_rows_per_second")]
    axes.barh(
        [name.removesuffix("_rows_per_second") for name in names], [float(figures[name]) for name in names]
    )
    axes.set(xscale="log", xlabel="rows a second")
    with replacing(BENCHMARKS / "spark.png") as path:
        picture.savefig(path, format="png", dpi=120)


if __name__ == "__main__":
    main()
