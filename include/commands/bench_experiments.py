"""`make bench-experiments`: what an analysis of millions of exposures and outcomes takes.

A compacted prediction log and an outcome log are made up: units under the real hash, a version that is better
by the plan's smallest difference. Then the analysis runs in processes of its own: first with no outcome
copied to columns yet, as the day after a segment was sealed, then as ever after. It writes docs/benchmarks/.
"""

import argparse
import os
import resource
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from tempfile import mkdtemp
from time import perf_counter, process_time

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow
from matplotlib.figure import Figure as Picture

from include.adapters.compacted_files import CompactedFiles
from include.adapters.compacted_log import CompactedDay, CompactedLog, Seen
from include.adapters.files import replacing
from include.adapters.outcome_columns import FOLDER
from include.adapters.prediction_parquet import schema
from include.adapters.segment_writer import SegmentWriter
from include.commands.bench_log import samples, uuids
from include.commands.benchmark_record import BENCHMARKS, Figure, write_record
from include.commands.progress import Progress
from include.commands.terminal import run_command
from include.config.models import model_folders
from include.config.settings import Settings, settings
from include.contracts.assignment import bucket
from include.contracts.experiment_plan import ExperimentPlan
from include.contracts.experiment_results import Analysis
from include.contracts.experiments import Experiment, ExperimentState, PlannedSize
from include.contracts.model import ExperimentMetric, ModelContract
from include.contracts.predictions import OutcomeRow
from include.contracts.routes import EntityType
from include.experiments.analyse import judged
from include.monitoring.compaction import FILE_ROWS

BEGAN = datetime(2017, 10, 1, tzinfo=UTC)
DAYS = 14
MATURES_IN = timedelta(days=14)
AS_OF = BEGAN + timedelta(days=DAYS) + MATURES_IN
REQUESTS_PER_UNIT = 5
BASELINE, MDE = 0.5, 0.002
SALT = "bench-1"
SAMPLES = 50_000
SEED = 2017
BATCH = 10_000
REPEATS = 3
NOTES = """Requests lie in Parquet as `predictions_compact` writes them, outcomes in segments as the gateway
does; half of the outcomes name a unit, half a prediction. The primary metric, sample ratio, two guardrails
(errors and p99 latency, both clustered on the unit) and the models' health are computed by each run, in a
process of its own; memory is the largest resident set of that process. The first run copies sealed segments
of outcomes to columns, once and for all; later ones read those."""


@dataclass(frozen=True)
class Run:
    """One analysis."""

    seconds: float
    cpu_seconds: float
    """Of all threads together: what remains comparable where the machine has other work, too."""
    megabytes: float
    units: int
    outcomes: int
    verdict: str


def main() -> None:
    """Measure, write the figures, the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="requests, and as many outcomes")
    parser.add_argument("--data", type=Path, help="folder of logs made up before, kept for another time")
    arguments = parser.parse_args()
    run_command(lambda: record(arguments.rows, data=arguments.data))


def record(rows: int, folder: Path = BENCHMARKS, data: Path | None = None) -> None:
    """Make the logs up, analyse them several times, write everything down.

    Args:
        rows: requests, and as many outcomes.
        folder: where to write.
        data: where the logs lie, or shall lie and stay; without it they are deleted.
    """
    progress = Progress(total=4)
    base = settings().home
    base.mkdir(parents=True, exist_ok=True)
    home = data or Path(mkdtemp(prefix="bench-experiments-", dir=base))
    made = Settings(home=home)
    try:
        if not made.outcomes_folder.is_dir():
            with progress.step(f"make up {rows:,} requests"):
                asked = made_up_requests(made, rows)
            with progress.step(f"make up {rows:,} outcomes"):
                made_up_outcomes(made, asked, rows)
        shutil.rmtree(made.outcomes_folder / FOLDER, ignore_errors=True)
        with progress.step("analyse for the first time"):
            first = measured(home)
        with progress.step(f"analyse {REPEATS} times more"):
            later = [measured(home) for _ in range(REPEATS)]
    finally:
        if data is None:
            shutil.rmtree(home)
    figures = figures_of(rows, first, later)
    write_record(
        "experiments", "Analysis of an experiment", figures, ("duckdb", "pyarrow"), folder, notes=NOTES
    )
    draw_picture(figures, folder)


@dataclass(frozen=True)
class Asked:
    """Who asked, and which predictions some of them got."""

    units: npt.NDArray[np.int64]
    treated: npt.NDArray[np.bool_]
    predictions: list[str]
    """Of the units in order, their first."""


def made_up_requests(made: Settings, rows: int) -> Asked:
    """Write days of predictions, in files as compaction makes them; each day has units of its own."""
    store, log = CompactedFiles(made.predictions_folder), CompactedLog(made.predictions_folder)
    generator = np.random.default_rng(SEED)
    pool = samples(generator, SAMPLES)
    model, per_day = benchmark_contract().name, rows // DAYS
    units, treated, predictions = [], [], []
    for day in range(DAYS):
        start = BEGAN + timedelta(days=day)
        known = np.arange(day * per_day // REQUESTS_PER_UNIT, (day + 1) * per_day // REQUESTS_PER_UNIT)
        places = np.array([bucket(SALT, str(unit)) for unit in known.tolist()])
        table = requests_of(pool, start, known, places, generator)
        files = [
            store.write(model, start.date(), 0, table.slice(at, FILE_ROWS))
            for at in range(0, len(table), FILE_ROWS)
        ]
        log.record(start.date(), CompactedDay(files=tuple(files)), Seen())
        units.append(known)
        treated.append(places < 0.5)  # noqa: PLR2004 - the plan's share
        predictions += first_predictions(table, known)
    return Asked(np.concatenate(units), np.concatenate(treated), predictions)


def requests_of(
    pool: pyarrow.Table,
    start: datetime,
    units: npt.NDArray[np.int64],
    places: npt.NDArray[np.float64],
    generator: np.random.Generator,
) -> pyarrow.Table:
    """Return a day of requests, several a unit, in order of time."""
    rows = units.size * REQUESTS_PER_UNIT
    which = generator.permutation(np.repeat(np.arange(units.size), REQUESTS_PER_UNIT))
    milliseconds = int(start.timestamp() * 1_000) + np.sort(generator.integers(0, 86_400_000, rows))
    moments = pyarrow.array(milliseconds * 1_000).cast(schema().field("predicted_at").type)
    is_treated = places[which] < 0.5  # noqa: PLR2004 - the plan's share
    columns = {
        "prediction_id": uuids(milliseconds, generator),
        "model": pyarrow.array([benchmark_contract().name] * rows),
        "unit": pyarrow.array(units[which].astype(str)),
        "assigned_variant": pyarrow.array(np.where(is_treated, "challenger", "champion")),
        "release_or_experiment_id": pyarrow.array([SALT] * rows),
        "bucket": pyarrow.array(places[which]),
        "share": pyarrow.array(np.full(rows, 0.5)),
        "predicted_at": moments,
        "recorded_at": moments,
        "latency_seconds": pyarrow.array(generator.exponential(0.01, rows)),
    }
    table = pool.take(generator.integers(0, len(pool), rows))
    for name, column in columns.items():
        field = schema().field(name)
        table = table.set_column(table.schema.get_field_index(name), field, column.cast(field.type))
    return table.sort_by("prediction_id")


def first_predictions(table: pyarrow.Table, units: npt.NDArray[np.int64]) -> list[str]:
    """Return a prediction of each unit."""
    order = dict(zip(table["unit"].to_pylist()[::-1], table["prediction_id"].to_pylist()[::-1], strict=True))
    return [order[str(unit)] for unit in units.tolist()]


def made_up_outcomes(made: Settings, asked: Asked, rows: int) -> None:
    """Write outcomes, several of those units that have any: each counts, all of a unit as one success."""
    generator = np.random.default_rng(SEED)
    rates = np.where(asked.treated, BASELINE + MDE, BASELINE)
    chosen = np.flatnonzero(generator.random(asked.units.size) < rates)
    which = np.resize(chosen, rows)
    writer = SegmentWriter(made.outcomes_folder, settings().segment_bytes)
    encode, model = msgspec.msgpack.Encoder().encode, benchmark_contract().name
    for start in range(0, rows, BATCH):
        batch = which[start : start + BATCH]
        at = BEGAN + timedelta(days=DAYS, seconds=start // BATCH)
        payloads = [
            encode(_outcome(start + place, model, at, unit, asked))
            for place, unit in enumerate(batch.tolist())
        ]
        writer.append(at.date(), payloads)
    writer.close()


def _outcome(number: int, model: str, at: datetime, place: int, asked: Asked) -> OutcomeRow:
    names_unit = number % 2 == 0
    return OutcomeRow(
        outcome_id=f"outcome-{number:012d}",
        model=model,
        metric="success",
        value=1.0,
        occurred_at=at,
        recorded_at=at,
        prediction_id=None if names_unit else asked.predictions[place],
        unit=str(asked.units[place]) if names_unit else None,
    )


def measured(home: Path) -> Run:
    """Analyse in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(analysed, home).result()


def analysed(home: Path) -> Run:
    """Analyse, and return what it took; imports are not counted, as in a worker that has them."""
    contract, experiment = benchmark_contract(), benchmark_experiment()
    began, worked = perf_counter(), process_time()
    found: Analysis = judged(Settings(home=home), contract, experiment, [], AS_OF)
    seconds, cpu_seconds = perf_counter() - began, process_time() - worked
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts = found.counts
    return Run(
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        megabytes=kilobytes / 1_024,
        units=counts.units if counts else 0,
        outcomes=counts.outcomes if counts else 0,
        verdict=found.verdict.value,
    )


def benchmark_contract() -> ModelContract:
    """Return a contract there is, kept by numbers, with the metric that is measured and no slices."""
    contracts = (folder.written for folder in model_folders(settings().model_folders).values())
    contract = next(each for each in contracts if each.entity.type is EntityType.INT64)
    metric = {"name": "success", "source": "outcome", "direction": "increase", "matures_in": "14d"}
    return contract.model_copy(
        update={"experiment_metrics": (ExperimentMetric.model_validate(metric),), "slices": ()}
    )


def benchmark_experiment() -> Experiment:
    """Return the experiment that is analysed."""
    contract = benchmark_contract()
    plan = ExperimentPlan.model_validate(
        {
            "name": "bench",
            "description": "Is it better?",
            "salt": SALT,
            "unit": contract.entity.name,
            "variants": [
                {"name": "control", "version": "champion", "share": 0.5},
                {"name": "treatment", "version": "candidate", "share": 0.5},
            ],
            "primary": {
                "metric": "success",
                "kind": "proportion",
                "direction": "increase",
                "baseline": BASELINE,
                "mde": MDE,
            },
            "within": "14d",
            "guardrails": [
                {"metric": "error_ratio", "margin": 0.005},
                {"metric": "latency_p99_seconds", "margin": 0.01},
            ],
        }
    )
    size = PlannedSize(
        control=1_000_000,
        treatment=1_000_000,
        information=500_000.0,
        baseline=BASELINE,
        standard_deviation=None,
        inflation_factor=1.02,
        expected_fraction_null=1.0,
        expected_fraction_alternative=0.8,
        units_per_day=100_000.0,
        expected_seconds=None,
    )
    return Experiment(
        experiment_id=SALT,
        name=plan.name,
        model=contract.name,
        plan=plan,
        plan_sha256=plan.sha256,
        size=size,
        control_version="1.0.0",
        treatment_version="1.0.1",
        treatment_sha256="0" * 64,
        share=0.5,
        state=ExperimentState.RUNNING,
        began_at=BEGAN,
        started_by="bench",
        approved_by=(),
        revision=1,
        started_at=BEGAN,
    )


def figures_of(rows: int, first: Run, later: list[Run]) -> dict[str, Figure]:
    """Return the figures of the runs."""
    return {
        "requests": rows,
        "outcomes": rows,
        "outcomes_counted": later[0].outcomes,
        "units": later[0].units,
        "verdict": later[0].verdict,
        "first_seconds": first.seconds,
        "first_cpu_seconds": first.cpu_seconds,
        "first_megabytes": first.megabytes,
        "seconds_best": min(run.seconds for run in later),
        "seconds_worst": max(run.seconds for run in later),
        "cpu_seconds_best": min(run.cpu_seconds for run in later),
        "load_average_at_the_end": os.getloadavg()[0],
        "megabytes_worst": max(run.megabytes for run in later),
        "first_over_later": first.cpu_seconds / min(run.cpu_seconds for run in later),
    }


def draw_picture(figures: dict[str, Figure], folder: Path) -> None:
    """Draw time and memory of the first run and of later ones."""
    picture = Picture(figsize=(8, 2.6), layout="constrained")
    seconds, memory = picture.subplots(1, 2)
    names = ["later", "first, copying outcomes"]
    for axes, keys, what, bound in (
        (seconds, ("seconds_best", "first_seconds"), "seconds", 10),
        (memory, ("megabytes_worst", "first_megabytes"), "megabytes", 2_048),
    ):
        axes.bar_label(axes.barh(names, [float(figures[key]) for key in keys]), fmt="{:,.1f}", padding=3)
        axes.axvline(bound, color="black", linestyle=":")
        axes.set(xlabel=what)
        axes.margins(x=0.2)
    memory.set_yticklabels([])
    picture.suptitle(f"{figures['requests']:,} requests, {figures['outcomes']:,} outcomes")
    with replacing(folder / "experiments.png") as path:
        picture.savefig(path, format="png", dpi=120)


if __name__ == "__main__":
    main()
