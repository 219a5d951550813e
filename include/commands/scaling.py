"""`make scaling`: what a large platform needs, from the benchmarks' records; writes docs/scaling.md.

Nothing here was run at that size. Each line names the figure it stands on, so that whoever measures on their
own machines gets their own page.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from include.adapters.files import write_atomically
from include.commands.benchmark_record import BENCHMARKS, Figure
from include.commands.terminal import run_command
from include.config.settings import REPOSITORY_ROOT

PAGE = REPOSITORY_ROOT / "docs" / "scaling.md"
RECORDS = ("gateway", "features", "log", "scale")
BUSY = 0.6
"""Share of its capacity a part is used to."""
DAY = 86_400.0
SEED = 2017
_SIMULATED = 60_000
_P99_MS = 50.0
_DISK_BYTES_A_SECOND = 100e6
"""What a disk is taken to write for good, beside all else."""
# What a cloud asks, in dollars; replace them by yours.
CORE_HOUR, GIB_HOUR, DISK_GB_MONTH, BUCKET_GB_MONTH, HOURS = 0.04, 0.005, 0.08, 0.023, 730


@dataclass(frozen=True)
class Demand:
    """How large the platform is."""

    entities: float = 100e6
    requests: float = 50e3
    """A second."""
    models: int = 2_000
    views: int = 3
    kept_days: int = 90
    """Days that logged predictions are kept."""
    night_hours: float = 6.0
    """Hours the daily features and DAGs have."""
    tasks_per_model: float = 20.0
    """Tasks of Airflow a model has a day: labels, three monitors, batch, training now and then."""


@dataclass(frozen=True)
class Need:
    """What one part needs.

    Attributes:
        part: its name.
        figure: what was measured, and where.
        need: how much of what.
        share: share of one machine of two cores and 24 GiB that the whole demand would take; the largest
            saturates first.
        change: the setting or the part to add.
        dollars: a month.
    """

    part: str
    figure: str
    need: str
    share: float
    change: str
    dollars: float


def main() -> None:
    """Write the page."""
    run_command(lambda: write_atomically(PAGE, page(read_records(), Demand()).encode()))


def read_records(folder: Path = BENCHMARKS) -> dict[str, dict[str, Figure]]:
    """Return the benchmarks' figures by record."""
    return {name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in RECORDS}


def needs(records: dict[str, dict[str, Figure]], demand: Demand) -> list[Need]:
    """Return what each part needs, what saturates first on one machine at the top."""
    found = [
        *_serving(records, demand),
        *_online(records, demand),
        *_logged(records, demand),
        *_features(records, demand),
        *_orchestration(records, demand),
    ]
    return sorted(found, key=lambda need: -need.share)


def _serving(records: dict[str, dict[str, Figure]], demand: Demand) -> Iterator[Need]:
    gateway = records["gateway"]
    for part, key in (("gateways", "gateway"), ("Triton", "triton")):
        seconds = float(gateway[f"full_duty_redis_{key}_cpu_seconds_per_1000"]) / 1_000
        cores = demand.requests * seconds / BUSY
        processes = f", {np.ceil(cores):.0f} processes" if key == "gateway" else ""
        change = "replicas behind the balancer" if key == "gateway" else "`NINETY_TRITON_ENDPOINTS`"
        yield Need(
            part,
            f"{seconds * 1e6:.0f} µs of a core a request (gateway, features in Redis)",
            f"{cores:.0f} cores{processes}",
            cores / 2,
            change,
            cores * CORE_HOUR * HOURS,
        )


def _online(records: dict[str, dict[str, Figure]], demand: Demand) -> Iterator[Need]:
    each = float(records["scale"]["redis_bytes_per_entity"])
    gib = demand.entities * each / 2**30 / BUSY
    yield Need(
        "features online",
        f"{each:.0f} bytes an entity of {demand.views} views (scale)",
        f"{gib:.0f} GiB of Redis",
        gib / 24,
        "`NINETY_ONLINE_STORE_URL`; past one Redis, a proxy that shards by key",
        gib * GIB_HOUR * HOURS,
    )
    seconds = float(records["features"]["materialize_1m_redis_cpu_seconds"]) / 1e6
    cores = demand.entities * demand.views * seconds / (demand.night_hours * 3600) / BUSY
    yield Need(
        "bringing features online",
        f"{seconds * 1e6:.0f} µs of a core an entity and view (features)",
        f"{cores:.1f} cores for {demand.night_hours:.0f} hours a night",
        cores / 2,
        "one task a view, on Celery's workers",
        cores * CORE_HOUR * demand.night_hours * 30,
    )


def _logged(records: dict[str, dict[str, Figure]], demand: Demand) -> Iterator[Need]:
    raw = float(records["scale"]["segment_bytes_per_row"])
    log = records["log"]
    compacted = float(log["log_bytes"]) / float(log["rows"])
    a_day = demand.requests * DAY
    yield Need(
        "segments of the log",
        f"{raw:.0f} bytes a row (scale)",
        f"{demand.requests * raw / 1e6:.0f} MB/s, {a_day * raw / 1e12:.1f} TB a day until compacted",
        demand.requests * raw / _DISK_BYTES_A_SECOND,
        "a disk for each gateway; `predictions_compact` hourly",
        a_day / 24 * 2 * raw / 1e9 * DISK_GB_MONTH,
    )
    yield Need(
        "compacted log",
        f"{compacted:.0f} bytes a row (log)",
        f"{a_day * compacted / 1e9:.0f} GB a day, {demand.kept_days * a_day * compacted / 1e12:.0f} TB kept",
        demand.kept_days * a_day * compacted / 200e9,
        "`NINETY_COMPACTED_URL`",
        demand.kept_days * a_day * compacted / 1e9 * BUCKET_GB_MONTH,
    )


def _features(records: dict[str, dict[str, Figure]], demand: Demand) -> Iterator[Need]:
    features = records["features"]
    rows = demand.entities * demand.views
    seconds = float(features["features_50x_cpu_seconds"]) / float(features["features_50x_rows"])
    memory = float(features["features_50x_peak_bytes_per_row"])
    cores = rows * seconds / (demand.night_hours * 3600) / BUSY
    gib = rows * memory / 2**30
    yield Need(
        "computing a day's features",
        f"{seconds * 1e6:.1f} µs of a core and {memory:.0f} bytes a row (features, 36 M rows)",
        f"{cores:.2f} cores, {gib:.0f} GiB at once",
        gib / 24,
        "a machine with the memory, or `NINETY_ENGINE=spark`, `NINETY_SPARK_MASTER`",
        gib * GIB_HOUR * demand.night_hours * 30 + cores * CORE_HOUR * demand.night_hours * 30,
    )


def _orchestration(records: dict[str, dict[str, Figure]], demand: Demand) -> Iterator[Need]:
    scale = records["scale"]
    each = float(scale["parse_cpu_seconds_per_dag"])
    dags = demand.models * float(scale["dags_per_model"])
    a_round = dags * each
    yield Need(
        "parsing DAGs",
        f"{each * 1e3:.0f} ms of a core a DAG (scale)",
        f"{dags:.0f} DAGs, {a_round:.0f} s of a core a round; one parsed 600 s ago counts as gone",
        a_round / 600 / BUSY,
        "several bundles, each with a part of `NINETY_MODEL_FOLDERS`; more than one dag-processor",
        2 * CORE_HOUR * HOURS,
    )
    tasks = demand.models * demand.tasks_per_model / (demand.night_hours * 3600)
    yield Need(
        "Airflow's tasks",
        "8 workers of one machine ran 2.6 short tasks a second (once, by hand)",
        f"{tasks:.1f} tasks a second at night, {np.ceil(tasks * 10):.0f} at once at 10 s each",
        tasks / 2.6,
        "`NINETY_CELERY_BROKER_URL`, workers, a second scheduler",
        tasks * 10 * CORE_HOUR * demand.night_hours * 30,
    )


def simulate(rate: float, alone_seconds: float, row_seconds: float, most: int = 256) -> float:
    """Return the 99th percentile of a gateway's latency, where whatever waits goes out as one batch.

    Requests come at random (Poisson) at a rate; a batch of n takes what one alone takes and n - 1 rows more.

    Args:
        rate: requests a second.
        alone_seconds: latency of one request alone.
        row_seconds: time of each further row.
        most: largest batch.
    """
    generator = np.random.default_rng(SEED)
    arrivals = np.cumsum(generator.exponential(1 / rate, _SIMULATED))
    latencies = np.empty(_SIMULATED)
    now, taken = 0.0, 0
    while taken < _SIMULATED:
        now = max(now, arrivals[taken])
        ready = min(int(np.searchsorted(arrivals, now, side="right")), taken + most)
        now += alone_seconds + (ready - taken - 1) * row_seconds
        latencies[taken:ready] = now - arrivals[taken:ready]
        taken = ready
    return float(np.quantile(latencies[_SIMULATED // 10 :], 0.99))


def simulated(records: dict[str, dict[str, Figure]]) -> list[tuple[float, float]]:
    """Return requests a second of one gateway, and the simulated p99 in milliseconds."""
    gateway = records["gateway"]
    alone = float(gateway["full_duty_c1_p50_ms"]) / 1_000
    row = 1 / float(gateway["full_duty_redis_rps"])
    peak = 1 / row
    return [(share * peak, simulate(share * peak, alone, row) * 1e3) for share in (0.3, 0.6, 0.8, 0.9, 0.95)]


def page(records: dict[str, dict[str, Figure]], demand: Demand) -> str:
    """Return docs/scaling.md."""
    found = needs(records, demand)
    total = sum(need.dollars for need in found)
    lines = [
        "# Scaling",
        "",
        f"What {demand.entities / 1e6:.0f} M entities, {demand.requests / 1e3:.0f} k requests a second and "
        f"{demand.models:,} models would need.",
        "Written by `make scaling` from the records in [benchmarks/](benchmarks/); every figure was measured",
        "on a machine of two cores, and **nothing of this page was run at that size**.",
        f"Parts are used to {BUSY:.0%}. The first line is what saturates first on one machine of two cores,",
        "24 GiB and 200 GB: its share is how many such machines the demand would take.",
        "",
        "| part | measured | needed | share of one machine | what to change | $ a month |",
        "|---|---|---|---|---|---|",
        *(
            f"| {n.part} | {n.figure} | {n.need} | {n.share:,.1f} | {n.change} | {n.dollars:,.0f} |"
            for n in found
        ),
        "",
        f"Together about ${total:,.0f} a month, without network, spares and people, at ${CORE_HOUR} a core",
        f"and hour, ${GIB_HOUR} a GiB and hour, ${DISK_GB_MONTH} a GB of disk and ${BUCKET_GB_MONTH} a GB of",
        "bucket a month: assumptions, in `include/commands/scaling.py`. A part whose share is below 1 fits",
        "one machine.",
        "",
        "The ledger is not among them: a model's training, release and monitors write some forty events a",
        f"week, so {demand.models:,} models write {demand.models * 40 / 7 / DAY:.2f} a second.",
        "",
        "## One gateway, simulated",
        "",
        "Requests come at random; whatever waits goes out as one batch, which takes what one request alone",
        "takes and a little for each row more.",
        "",
        "| requests a second | share of its peak | p99, ms |",
        "|---|---|---|",
        *_simulated_rows(records),
        "",
        f"Up to the share of {BUSY:.0%} that the table above uses, the 99th percentile stays far below "
        f"{_P99_MS:.0f} ms.",
        "",
        "## What is not built",
        "",
        "- A day of a view is one file, written by one process, also where Spark computes it; Spark was run",
        "  in three processes of one machine.",
        "- One Redis holds all entities; a cluster of Redis was not tried.",
        "- Gateways, workers and Triton share a folder (`NINETY_HOME`) for segments, features and the model",
        "  repository.",
        "",
    ]
    return "\n".join(lines)


def _simulated_rows(records: dict[str, dict[str, Figure]]) -> Iterator[str]:
    peak = float(records["gateway"]["full_duty_redis_rps"])
    for rate, milliseconds in simulated(records):
        yield f"| {rate:,.0f} | {rate / peak:.0%} | {milliseconds:.1f} |"


if __name__ == "__main__":
    main()
