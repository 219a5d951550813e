"""One measured run of the feature benchmark, in a process of its own, so that its peak memory is its own.

`python -m include.commands.bench_features_runs <what> '<arguments as JSON>'` prints seconds and peak memory.
"""

import json
import resource
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import monotonic, process_time

import numpy
import pandas
import pyarrow
import pyarrow.parquet
from feast import FeatureStore, RepoConfig

from include.adapters.parquet import write_table
from include.adapters.sources import open_sources
from include.config.settings import Settings
from include.features.definitions import entities, feature_view
from include.features.materialize import compute_features
from include.features.online import materialize_online
from include.features.views import View, load_views, offline_folder, used_views

VIEW = "customer_spending"
STORES = {"asof": "include.features.asof_store.AsofOfflineStore", "feast": "duckdb"}
SEED = 2017
HISTORY = (date(2017, 2, 1), date(2017, 12, 31))
"""Eleven months of daily rows."""
YEAR = (date(2017, 1, 2), date(2018, 1, 1))
"""Every day that has a purchase in the thirty days before it."""
CUSTOMER_STEP = 1_000_000
"""Distance between a customer and its replicas."""
BASKET_STEP = 1_000_000_000_000


def join(folder: str, store: str, rows: int, views: int) -> Callable[[], int]:
    """Return a point-in-time join through Feast's API to Arrow, warmed up with a few rows."""
    feast = _warehouse(Path(folder), store, views)
    features = [f"{view.name}:{item.name}" for view in feast.list_feature_views() for item in view.features]

    def run(frame: pandas.DataFrame) -> int:
        table = feast.get_historical_features(frame, features, full_feature_names=True).to_arrow()
        return int(table.num_rows)

    run(_entity_rows(10))
    frame = _entity_rows(rows)
    return lambda: run(frame)


def bare_join(folder: str, rows: int) -> Callable[[], int]:
    """Return the same join of one view as one DuckDB statement, without Feast."""
    import duckdb  # noqa: PLC0415 - only this run needs it bare

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    frame = _entity_rows(rows)
    entity = pyarrow.Table.from_pandas(
        frame.assign(event_timestamp=frame["event_timestamp"].astype("datetime64[us, UTC]"))
    )
    connection.register("entity", entity)
    names = ", ".join(f"f.{field.name}" for field in _view(Path(folder)).definition.fields)
    files = str(offline_folder(Settings(home=Path(folder)), VIEW) / "*.parquet")
    query = (
        f"SELECT e.*, {names} FROM entity e ASOF LEFT JOIN "  # noqa: S608 - own names
        f"read_parquet('{files}') f "
        "ON e.customer_id = f.customer_id AND e.event_timestamp >= f.event_timestamp"
    )
    return lambda: int(connection.sql(query).to_arrow_table().num_rows)


def compute(folder: str, sources: dict[str, str], views: list[str] | None) -> Callable[[], int]:
    """Return the computation and writing of a year of views; None means all."""
    settings = Settings(home=Path(folder), sources=sources)
    as_of = datetime.combine(YEAR[1], datetime.min.time(), UTC) + timedelta(days=1)
    return lambda: sum(compute_features(settings, *YEAR, as_of, only=views).values())


def history(folder: str, first: str, views: list[str] | None) -> Callable[[], int]:
    """Return the computation of the daily rows that joins and materialisation read."""
    settings = Settings(home=Path(folder))
    days = date.fromisoformat(first), HISTORY[1]
    as_of = datetime.combine(days[1], datetime.min.time(), UTC) + timedelta(days=1)
    return lambda: sum(compute_features(settings, *days, as_of, only=views).values())


def materialize(folder: str, url: str, day: str) -> Callable[[], int]:
    """Return the materialisation of a day to the online store."""
    settings = Settings(home=Path(folder), online_store_url=url)
    return lambda: materialize_online(settings, date.fromisoformat(day))[VIEW]


def replicate(folder: str, times: int) -> Callable[[], int]:
    """Return the making of purchases in which every customer stands so many times."""
    settings = Settings(home=Path(folder))

    def run() -> int:
        with open_sources(settings, datetime(2018, 2, 1, tzinfo=UTC), ["purchases"]) as sources:
            sources.connection.execute(
                "COPY (SELECT "  # noqa: S608 - own figures and folder
                f"customer_id + {CUSTOMER_STEP} * copy AS household_id, "
                f"basket_id + {BASKET_STEP} * copy AS basket_id, product_id, quantity, "
                "amount AS sales_value, retail_discount AS retail_disc, coupon_discount AS coupon_disc, "
                "event_at AS transaction_timestamp "
                f"FROM purchases, range({times}) AS copies(copy)) "
                f"TO '{Path(folder) / 'purchases.parquet'}' (FORMAT parquet, ROW_GROUP_SIZE 500000)"
            )
        return times

    return run


def synthesize(folder: str, customers: int, day: str) -> Callable[[], int]:
    """Return the making of one day of features of synthetic customers; the other views get a single one."""
    settings = Settings(home=Path(folder))
    views = used_views(settings).values()
    sizes = {view.name: customers if view.name == VIEW else 1 for view in views}
    tables = {view.name: _synthetic(view, sizes[view.name], day) for view in views}

    def run() -> int:
        for name, table in tables.items():
            write_table(offline_folder(settings, name) / f"{day}.parquet", table)
        return customers

    return run


RUNS: dict[str, Callable[..., Callable[[], int]]] = {
    item.__name__: item for item in (join, bare_join, compute, history, materialize, replicate, synthesize)
}


def main() -> None:
    """Prepare a run, say when it begins, run it once, print what it took as JSON."""
    run = RUNS[sys.argv[1]](**json.loads(sys.argv[2]))
    began, cpu_began = monotonic(), process_time()
    print(json.dumps({"began": began}), flush=True)
    rows = run()
    taken = {
        "seconds": monotonic() - began,
        "cpu_seconds": process_time() - cpu_began,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rows": rows,
    }
    print(json.dumps(taken))


def _view(folder: Path) -> View:
    return load_views(Settings(home=folder))[VIEW]


def _synthetic(view: View, customers: int, day: str) -> pyarrow.Table:
    draw = numpy.random.default_rng(SEED)
    moment = datetime.fromisoformat(day).replace(tzinfo=UTC)
    columns = {
        "int64": lambda: pyarrow.array(draw.integers(1, 30, customers)),
        "float64": lambda: pyarrow.array(draw.gamma(2.0, 80.0, customers)),
        "string": lambda: pyarrow.array(draw.choice(["GROCERY", "DRUG GM", "MEAT"], customers)),
    }
    stamps = pyarrow.array([moment] * customers, pyarrow.timestamp("us", "UTC"))
    keys = pyarrow.array(numpy.arange(1, customers + 1))
    fields = {field.name: columns[str(field.dtype)]() for field in view.definition.fields}
    return pyarrow.table({view.definition.entity.name: keys, "event_timestamp": stamps} | fields)


def _warehouse(folder: Path, store: str, views: int) -> FeatureStore:
    """Return a Feast store with so many views over the same daily rows."""
    settings, view = Settings(home=folder), _view(folder)
    registry = folder / f"{store}-{views}.db"
    feast = FeatureStore(
        config=RepoConfig(
            project="bench",
            provider="local",
            repo_path=folder,
            registry={"path": str(registry)},
            offline_store={"type": STORES[store]},
            online_store={"type": "sqlite", "path": str(registry.with_suffix(".online"))},
            entity_key_serialization_version=3,
        )
    )
    known = entities([view])[view.definition.entity.name]
    made = []
    for index in range(views):
        definition = view.definition.model_copy(update={"name": f"view_{index}"})
        rows = offline_folder(settings, definition.name)
        if not rows.exists():
            rows.symlink_to(offline_folder(settings, VIEW), target_is_directory=True)
        made.append(feature_view(settings, replace(view, definition=definition), known))
    feast.apply([known, *made])
    return feast


def _entity_rows(rows: int) -> pandas.DataFrame:
    draw = numpy.random.default_rng(SEED)
    seconds = int((HISTORY[1] - HISTORY[0]).total_seconds())
    start = datetime.combine(HISTORY[0], datetime.min.time(), UTC)
    moments = pandas.Timestamp(start) + pandas.to_timedelta(draw.integers(0, seconds, rows), unit="s")
    return pandas.DataFrame({"customer_id": draw.integers(1, 2501, rows), "event_timestamp": moments})


if __name__ == "__main__":
    main()
