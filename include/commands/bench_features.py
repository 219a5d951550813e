"""`make bench-features`: point-in-time joins, a year of features, materialisation; to docs/benchmarks/.

Every figure is the median of runs that take turns, each in a process of its own; ratios are of medians. Parts
can be measured one at a time: each takes the place of its own earlier figures and names its own commit.
"""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from include.commands.bench_features_measure import Limits, Runs, interleaved, measure, ratio
from include.commands.bench_features_page import NAME, write_page
from include.commands.bench_features_runs import HISTORY, VIEW
from include.commands.benchmark_parts import origin, read_parts
from include.commands.benchmark_record import Figure
from include.commands.progress import Progress
from include.commands.services import redis_server

COPIES = (1, 10, 50)
"""Customers of the growth runs, as multiples of the real ones."""
SYNTHETIC_CUSTOMERS = 1_000_000
SYNTHETIC_DAY = "2017-12-31"
ONLINE_FIRST_DAY = "2017-10-02"
"""Ninety days before the day that is brought online: as far back as its views' values may lie."""
SMALL, LARGE = 100_000, 1_000_000
LARGE_VIEWS = 10


@dataclass(frozen=True)
class Bench:
    """What every part is measured with."""

    home: Path
    runs: int
    heavy_runs: int
    copies: Sequence[int]
    limits: Limits
    install: bool

    def joined_rows(self) -> Path:
        """Return the folder of eleven months of daily rows; they are computed when first asked for."""
        folder = self.home / "history"
        if not folder.exists():
            first = HISTORY[0].isoformat()
            measure("history", {"folder": str(folder), "first": first, "views": [VIEW]}, self.limits)
        return folder


def main() -> None:
    """Measure the parts asked for and write the figures, the page and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to measure")
    parser.add_argument("--runs", type=int, default=5, help="runs of each kind")
    parser.add_argument("--heavy-runs", type=int, default=3, help="runs of each kind that takes minutes")
    parser.add_argument("--copies", type=int, nargs="+", default=COPIES, help="multiples of the customers")
    parser.add_argument("--limit-seconds", type=float, default=300, help="time after which a run is stopped")
    parser.add_argument("--limit-gib", type=float, default=12, help="memory at which a run is stopped")
    parser.add_argument("--install", action="store_true", help="install redis-server if it is missing")
    record(parser.parse_args())


def record(arguments: argparse.Namespace) -> None:
    """Measure parts in a temporary folder; write each down, beside the others' figures, when it is done."""
    progress = Progress(total=len(arguments.only))
    limits = Limits(arguments.limit_seconds, arguments.limit_gib * 1024)
    with TemporaryDirectory(prefix="bench-features-") as name:
        bench = Bench(
            Path(name),
            arguments.runs,
            arguments.heavy_runs,
            sorted(arguments.copies),
            limits,
            arguments.install,
        )
        for part in arguments.only:
            with progress.step(part):
                before = origin()
                figures = PARTS[part](bench) | before
                write_page(read_parts(NAME) | {part: figures})


def joins(bench: Bench) -> dict[str, Figure]:
    """Return the figures of 100,000 entity rows against eleven months of daily rows."""
    shape = {"folder": str(bench.joined_rows()), "rows": SMALL}
    asof, feast, bare = interleaved(
        bench.runs,
        bench.limits,
        ("join", shape | {"store": "asof", "views": 1}),
        ("join", shape | {"store": "feast", "views": 1}),
        ("bare_join", shape),
    )
    return {
        **ratio("asof_over_feast_duckdb_speedup", feast, asof),
        **ratio("bare_sql_over_feast_duckdb_speedup", feast, bare),
        **asof.figures("asof_join_100k"),
        **feast.figures("feast_duckdb_join_100k"),
        **bare.figures("bare_sql_join_100k"),
    }


def large_joins(bench: Bench) -> dict[str, Figure]:
    """Return the figures of a million entity rows and ten views."""
    shape = {"folder": str(bench.joined_rows()), "rows": LARGE, "views": LARGE_VIEWS}
    asof, feast = interleaved(
        bench.runs,
        bench.limits,
        ("join", shape | {"store": "asof"}),
        ("join", shape | {"store": "feast"}),
    )
    return {
        **ratio("asof_over_feast_duckdb_speedup_1m_10_views", feast, asof),
        **asof.figures("asof_join_1m_10_views"),
        **feast.figures("feast_duckdb_join_1m_10_views"),
    }


def year(bench: Bench) -> dict[str, Figure]:
    """Return the figures of computing and writing the whole of 2017: one view, and all there are."""
    kinds = {"features_2017": [VIEW], "features_2017_all_views": None}
    taken = {name: Runs() for name in kinds}
    for _ in range(bench.runs):
        for name, views in kinds.items():
            _compute(bench, taken[name], {}, views)
    return {
        key: value
        for name, runs in taken.items()
        for key, value in (runs.figures(name) | {f"{name}_rows": runs.rows}).items()
    }


def growth(bench: Bench) -> dict[str, Figure]:
    """Return the figures of a year's features for the real customers and their replicas."""
    figures: dict[str, Figure] = {}
    points: list[tuple[float, float]] = []
    for times in bench.copies:
        with TemporaryDirectory(dir=bench.home) as replicas:
            measure("replicate", {"folder": replicas, "times": times}, bench.limits)
            runs = Runs()
            for _ in range(bench.heavy_runs):
                _compute(bench, runs, {"purchases": f"{replicas}/purchases.parquet"}, [VIEW])
                if not runs.complete:
                    break
        figures |= runs.figures(f"features_{times}x")
        if runs.complete:
            points.append((runs.rows, runs.seconds))
            figures |= {
                f"features_{times}x_rows": runs.rows,
                f"features_{times}x_microseconds_per_row": 1e6 * runs.seconds / runs.rows,
                f"features_{times}x_peak_bytes_per_row": 2**20 * runs.peak_mib / runs.rows,
            }
    return figures | ({"features_growth_exponent": slope(points)} if len(points) > 1 else {})


def online(bench: Bench) -> dict[str, Figure]:
    """Return the figures of bringing one day of the real customers, all their views, online."""
    folder = bench.home / "online"
    first = {"folder": str(folder), "first": ONLINE_FIRST_DAY, "views": None}
    measure("history", first, bench.limits)
    shape = {"folder": str(folder), "day": HISTORY[1].isoformat()}
    with redis_server(install=bench.install) as url:
        sqlite, redis = interleaved(
            bench.runs,
            bench.limits,
            ("materialize", shape | {"url": ""}),
            ("materialize", shape | {"url": url}),
        )
    return {
        "materialize_customers": sqlite.rows,
        **sqlite.figures("materialize_sqlite"),
        **redis.figures("materialize_redis"),
    }


def synthetic(bench: Bench) -> dict[str, Figure]:
    """Return the figures of bringing a day of a million customers to Redis, and of a tenth of them."""
    taken = {}
    with redis_server(install=bench.install) as url:
        for customers in (SYNTHETIC_CUSTOMERS // 10, SYNTHETIC_CUSTOMERS):
            folder = str(bench.home / f"synthetic-{customers}")
            shape = {"folder": folder, "customers": customers, "day": SYNTHETIC_DAY}
            measure("synthesize", shape, bench.limits)
            arguments = {"folder": folder, "url": url, "day": SYNTHETIC_DAY}
            (taken[customers],) = interleaved(bench.heavy_runs, bench.limits, ("materialize", arguments))
    fewer, more = taken[SYNTHETIC_CUSTOMERS // 10], taken[SYNTHETIC_CUSTOMERS]
    figures = fewer.figures("materialize_100k_redis") | more.figures("materialize_1m_redis")
    if fewer.complete and more.complete:
        figures["materialize_redis_peak_growth_ratio"] = more.peak_mib / fewer.peak_mib
    return figures


PARTS: Mapping[str, Callable[[Bench], dict[str, Figure]]] = {
    part.__name__: part for part in (joins, large_joins, year, growth, online, synthetic)
}
"""What can be measured, by name."""


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the least-squares slope of log y over log x: the exponent of y's growth."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean_x = sum(x for x, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)


def _compute(bench: Bench, runs: Runs, sources: Mapping[str, str], views: list[str] | None) -> None:
    with TemporaryDirectory(dir=bench.home) as folder:
        arguments = {"folder": folder, "sources": dict(sources), "views": views}
        runs.measurements.append(measure("compute", arguments, bench.limits))


if __name__ == "__main__":
    main()
