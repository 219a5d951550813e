"""`make bench-features`: point-in-time joins, a year of features, materialisation; to docs/benchmarks/.

Every figure is the median of runs that take turns, each in a process of its own; ratios are of medians.
"""

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from matplotlib.figure import Figure as Picture

from include.adapters.files import replacing
from include.commands.bench_features_runs import HISTORY, VIEW
from include.commands.benchmark_record import BENCHMARKS, Figure, write_record
from include.commands.progress import Progress
from include.commands.services import redis_server
from include.config.settings import Settings
from include.contracts.errors import PlatformError
from include.features.materialize import compute_features

COPIES = (1, 10, 50)
"""Customers of the growth runs, as multiples of the real ones."""
SYNTHETIC_CUSTOMERS = 1_000_000
SYNTHETIC_DAY = "2017-12-31"
SMALL, LARGE = 100_000, 1_000_000
LARGE_VIEWS = 10
_LIBRARIES = ("feast", "duckdb", "pyarrow", "pandas")


@dataclass
class Runs:
    """What the runs of one kind took."""

    seconds: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    rows: int = 0

    @property
    def median_seconds(self) -> float:
        """Median of the seconds."""
        return median(self.seconds)

    @property
    def median_peak(self) -> float:
        """Median of the peak memory, MiB."""
        return median(self.peaks)


def main() -> None:
    """Measure everything and write the figures, the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of each kind")
    parser.add_argument("--heavy-runs", type=int, default=5, help="runs of each kind that takes minutes")
    parser.add_argument("--copies", type=int, nargs="+", default=COPIES, help="multiples of the customers")
    parser.add_argument("--install", action="store_true", help="install redis-server if it is missing")
    record(parser.parse_args())


def record(arguments: argparse.Namespace) -> None:
    """Measure everything in a temporary folder and write it down."""
    progress = Progress(total=5)
    figures: dict[str, Figure] = {"runs": arguments.runs, "heavy_runs": arguments.heavy_runs}
    with TemporaryDirectory(prefix="bench-features-") as name, redis_server(install=arguments.install) as url:
        home = Path(name)
        steps: Mapping[str, Callable[[], dict[str, Figure]]] = {
            "point-in-time joins": lambda: joins(home / "history", arguments.runs),
            "large point-in-time joins": lambda: large_joins(home / "history", arguments.heavy_runs),
            "features of a year": lambda: growth(
                home / "growth", arguments.runs, arguments.heavy_runs, arguments.copies
            ),
            "materialisation": lambda: materialisation(home / "history", url, arguments.runs),
            "materialisation of synthetic customers": lambda: synthetic(
                home / "synthetic", url, arguments.heavy_runs
            ),
        }
        for title, measure in steps.items():
            with progress.step(title):
                figures |= measure()
    write_record("features", "Feature store", figures, _LIBRARIES)
    draw_picture(figures)


def joins(home: Path, runs: int) -> dict[str, Figure]:
    """Return the figures of 100,000 entity rows against eleven months of daily rows."""
    _compute_history(home)
    shape = {"folder": str(home), "rows": SMALL}
    asof, feast, bare = interleaved(
        runs,
        ("join", shape | {"store": "asof", "views": 1}),
        ("join", shape | {"store": "feast", "views": 1}),
        ("bare_join", shape),
    )
    return {
        "asof_over_feast_duckdb_speedup": feast.median_seconds / asof.median_seconds,
        "asof_join_100k_seconds": asof.median_seconds,
        "feast_duckdb_join_100k_seconds": feast.median_seconds,
        "bare_sql_join_100k_seconds": bare.median_seconds,
        "bare_sql_over_feast_duckdb_speedup": feast.median_seconds / bare.median_seconds,
        "asof_join_100k_peak_mib": asof.median_peak,
        "feast_duckdb_join_100k_peak_mib": feast.median_peak,
    }


def large_joins(home: Path, runs: int) -> dict[str, Figure]:
    """Return the figures of a million entity rows and ten views."""
    shape = {"folder": str(home), "rows": LARGE, "views": LARGE_VIEWS}
    asof, feast = interleaved(runs, ("join", shape | {"store": "asof"}), ("join", shape | {"store": "feast"}))
    return {
        "asof_over_feast_duckdb_speedup_1m_10_views": feast.median_seconds / asof.median_seconds,
        "asof_join_1m_10_views_seconds": asof.median_seconds,
        "feast_duckdb_join_1m_10_views_seconds": feast.median_seconds,
        "asof_join_1m_10_views_peak_mib": asof.median_peak,
        "feast_duckdb_join_1m_10_views_peak_mib": feast.median_peak,
    }


def growth(home: Path, runs: int, heavy_runs: int, copies: Sequence[int]) -> dict[str, Figure]:
    """Return the figures of computing a year's features for the real customers and their replicas."""
    home.mkdir(parents=True)
    figures: dict[str, Figure] = {}
    points: list[tuple[int, float]] = []
    for times in copies:
        sources = _replicated(home, times)
        measured = Runs()
        for _ in range(runs if times == 1 else heavy_runs):
            with TemporaryDirectory(dir=home) as fresh:
                _add(measured, "compute", {"folder": fresh, "sources": sources})
        points.append((times, measured.median_seconds))
        if times == 1:
            figures |= {"features_2017_seconds": measured.median_seconds, "features_2017_rows": measured.rows}
        figures |= {
            f"features_{times}x_seconds": measured.median_seconds,
            f"features_{times}x_microseconds_per_row": 1e6 * measured.median_seconds / measured.rows,
            f"features_{times}x_peak_mib": measured.median_peak,
            f"features_{times}x_peak_bytes_per_row": 2**20 * measured.median_peak / measured.rows,
        }
    return figures | ({"features_growth_exponent": slope(points)} if len(points) > 1 else {})


def materialisation(home: Path, url: str, runs: int) -> dict[str, Figure]:
    """Return the figures of bringing one day of the real customers online."""
    shape = {"folder": str(home), "day": HISTORY[1].isoformat()}
    sqlite, redis = interleaved(
        runs, ("materialize", shape | {"url": ""}), ("materialize", shape | {"url": url})
    )
    return {
        "materialize_customers": sqlite.rows,
        "materialize_sqlite_seconds": sqlite.median_seconds,
        "materialize_redis_seconds": redis.median_seconds,
        "materialize_redis_peak_mib": redis.median_peak,
    }


def synthetic(home: Path, url: str, runs: int) -> dict[str, Figure]:
    """Return the figures of bringing a day of a million customers to Redis, and of a tenth of them."""
    taken = {}
    for customers in (SYNTHETIC_CUSTOMERS // 10, SYNTHETIC_CUSTOMERS):
        folder = home / str(customers)
        measured("synthesize", {"folder": str(folder), "customers": customers, "day": SYNTHETIC_DAY})
        arguments = {"folder": str(folder), "url": url, "day": SYNTHETIC_DAY}
        (taken[customers],) = interleaved(runs, ("materialize", arguments))
    fewer, all_of_them = taken[SYNTHETIC_CUSTOMERS // 10], taken[SYNTHETIC_CUSTOMERS]
    return {
        "materialize_1m_redis_seconds": all_of_them.median_seconds,
        "materialize_1m_redis_peak_mib": all_of_them.median_peak,
        "materialize_100k_redis_peak_mib": fewer.median_peak,
        "materialize_redis_peak_growth_ratio": all_of_them.median_peak / fewer.median_peak,
    }


def interleaved(runs: int, *kinds: tuple[str, Mapping[str, object]]) -> list[Runs]:
    """Run each kind so many times, taking turns, so that all meet the same load of the machine."""
    results = [Runs() for _ in kinds]
    for _ in range(runs):
        for result, (what, arguments) in zip(results, kinds, strict=True):
            _add(result, what, arguments)
    return results


def measured(what: str, arguments: Mapping[str, object]) -> dict[str, float]:
    """Run once in a process of its own; return seconds, peak_mib and rows.

    Raises:
        PlatformError: the run failed; the message carries its last words.
    """
    command = [sys.executable, "-m", "include.commands.bench_features_runs", what, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - own arguments
    if done.returncode != 0:
        raise PlatformError(f"the run {what!r} failed: {done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"      {what} {figures['seconds']:.2f} s, {figures['peak_mib']:.0f} MiB", flush=True)
    return figures


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the least-squares slope of log y over log x: the exponent of y's growth."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean_x = sum(x for x, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)


def draw_picture(figures: Mapping[str, Figure]) -> None:
    """Draw the joins beside each other, and how time grows with the customers."""
    picture = Picture(figsize=(11, 4.2), layout="constrained")
    joined, grown = picture.subplots(1, 2)
    names = [name for name in figures if name.endswith("_join_100k_seconds")]
    joined.barh(
        [name.removesuffix("_join_100k_seconds") for name in names], [float(figures[n]) for n in names]
    )
    joined.set(xlabel="seconds, 100,000 entity rows", title="Point-in-time join")
    joined.invert_yaxis()
    copies = [times for times in COPIES if f"features_{times}x_seconds" in figures]
    grown.loglog(copies, [float(figures[f"features_{times}x_seconds"]) for times in copies], marker="o")
    grown.set(xlabel="customers, multiples of 2,469", ylabel="seconds", title="Features of a year")
    with replacing(BENCHMARKS / "features.png") as path:
        picture.savefig(path, format="png", dpi=120)


def _add(runs: Runs, what: str, arguments: Mapping[str, object]) -> None:
    figures = measured(what, arguments)
    runs.seconds.append(figures["seconds"])
    runs.peaks.append(figures["peak_mib"])
    runs.rows = int(figures["rows"])


def _compute_history(home: Path) -> None:
    as_of = datetime.combine(HISTORY[1], datetime.min.time(), UTC) + timedelta(days=1)
    compute_features(Settings(home=home), *HISTORY, as_of, only=(VIEW,))


def _replicated(home: Path, times: int) -> dict[str, str]:
    if times == 1:
        return {}
    folder = home / f"{times}x"
    folder.mkdir(exist_ok=True)
    measured("replicate", {"folder": str(folder), "times": times})
    return {"purchases": str(folder / "purchases.parquet")}


if __name__ == "__main__":
    main()
