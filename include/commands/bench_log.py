"""`make bench-log`: what finding one prediction among millions costs; to docs/benchmarks/log.*.

A compacted log of one day is made up in Arrow, its rows as the gateway writes them. Then single predictions
are looked up the way `make trace` and `/v1/outcomes` do it, and every byte that is read is counted. Beside
it: a scan of all ids, and what an append costs under `os` and under `disk`.
"""

import argparse
import asyncio
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from tempfile import mkdtemp
from time import perf_counter

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.parquet
from matplotlib.figure import Figure as Picture
from pyarrow import compute

from include.adapters.compacted_files import CompactedFiles
from include.adapters.compacted_home import FOLDER
from include.adapters.compacted_log import CompactedDay, CompactedFile, CompactedLog, Seen
from include.adapters.files import replacing
from include.adapters.prediction_log import PredictionLog, find
from include.adapters.prediction_parquet import schema, to_table
from include.commands.benchmark_record import BENCHMARKS, Figure, write_record
from include.commands.progress import Progress
from include.commands.terminal import run_command
from include.config.settings import LogDurability, settings
from include.contracts.errors import PlatformError
from include.contracts.identifiers import uuid7
from include.contracts.predictions import PredictionRow, Source, Status
from include.monitoring.compaction import FILE_ROWS

MODEL = "model"
NOON = datetime(2017, 11, 1, 12, tzinfo=UTC)
DAY_MILLISECONDS = 86_400_000
SAMPLES = 50_000
"""Rows with values of their own; the others repeat them."""
LOOK_UPS = 200
BATCH = 64
BATCHES = 500
SEED = 2017
_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint8).reshape(256, 2)
_DASHES = (8, 12, 16, 20)
"""Where the dashes of a UUID go among its 32 digits."""
NOTES = """A day's predictions, all of one model, in Parquet as `predictions_compact` writes it. A look-up
finds one by its id alone, as `make trace` does: the day's record, one file's footer, one of its row groups.
Bytes are those the kernel counts for the process. The scan reads the id column of every file. Appends of one
batch go one after the other, each until it is as durable as `os` or `disk` asks."""


def main() -> None:
    """Measure, write the figures, the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="predictions in the log")
    arguments = parser.parse_args()
    run_command(lambda: record(arguments.rows))


def record(rows: int, folder: Path = BENCHMARKS) -> None:
    """Make the log up, look predictions up in it, append to another one, write everything down."""
    progress = Progress(total=4)
    home = settings().home
    home.mkdir(parents=True, exist_ok=True)
    log = Path(mkdtemp(prefix="bench-log-", dir=home))
    try:
        with progress.step(f"make up {rows:,} predictions"):
            day = made_up(log, rows)
        with progress.step(f"look {LOOK_UPS} of them up"):
            figures = look_up_figures(log, day, *looked_up(log, day))
        with progress.step("read every id"):
            figures |= scan_figures(*scanned(log, day))
        with progress.step("append"):
            figures |= append_figures({each: appended(log / each.value, each) for each in LogDurability})
    finally:
        shutil.rmtree(log)
    write_record(
        "log", "Prediction log: one row among many", figures, ("pyarrow", "msgspec"), folder, notes=NOTES
    )
    draw_picture(figures, folder)


def made_up(log: Path, rows: int) -> CompactedDay:
    """Write a day of predictions, evenly spread, in files as compaction makes them."""
    store = CompactedFiles(log)
    generator = np.random.default_rng(SEED)
    pool = samples(generator, SAMPLES)
    files: list[CompactedFile] = []
    for start in range(0, rows, FILE_ROWS):
        size = min(FILE_ROWS, rows - start)
        span = (start * DAY_MILLISECONDS // rows, (start + size) * DAY_MILLISECONDS // rows)
        table = pool.take(generator.integers(0, len(pool), size))
        files.append(store.write(MODEL, NOON.date(), 0, identified(table, span, generator)))
    day = CompactedDay(files=tuple(files))
    CompactedLog(log).record(NOON.date(), day, Seen())
    return day


def samples(generator: np.random.Generator, size: int) -> pyarrow.Table:
    """Return predictions as the gateway logs them, with features of their own each."""
    amounts, counts = generator.gamma(2, 60, size).tolist(), generator.poisson(6, size).tolist()
    values = zip(amounts, counts, generator.random(size).tolist(), strict=True)
    return to_table([row(*each) for each in values])


def row(amount: float, count: int, score: float) -> PredictionRow:
    """Return one answered prediction of noon."""
    midnight = NOON - timedelta(hours=12)
    key = int(score * 1e9) % 100_000
    return PredictionRow(
        prediction_id=uuid7(NOON),
        request_id=None,
        body_sha256=f"{int(score * 2**256):064x}",
        model=MODEL,
        entity={"key": key},
        unit=str(key),
        assigned_variant="champion",
        served_version="1.0.0",
        artefact_sha256="1" * 64,
        route_snapshot_id="1-abc",
        release_or_experiment_id=None,
        bucket=score,
        share=0.0,
        predicted_at=NOON,
        recorded_at=NOON,
        features={
            "sum_30d": amount,
            "mean_30d": amount / (count + 1),
            "count_30d": count,
            "days_since_last": count / 3,
            "most_frequent": "CATEGORY",
        },
        feature_timestamps={"view": midnight},
        request_features={},
        outputs=(score,),
        status=Status.OK,
        fallback_reason=None,
        source=Source.LIVE,
        latency_seconds=score / 100,
        key_id="benchmark",
    )


def identified(table: pyarrow.Table, span: tuple[int, int], generator: np.random.Generator) -> pyarrow.Table:
    """Give rows ids and moments of a span of the day's milliseconds, in order."""
    midnight = int((NOON - timedelta(hours=12)).timestamp() * 1_000)
    milliseconds = midnight + np.sort(generator.integers(*span, len(table)))
    moments = pyarrow.array(milliseconds * 1_000).cast(schema().field("predicted_at").type)
    columns = {
        "prediction_id": uuids(milliseconds, generator),
        "predicted_at": moments,
        "recorded_at": moments,
    }
    for name, column in columns.items():
        table = table.set_column(table.schema.get_field_index(name), schema().field(name), column)
    return table.sort_by("prediction_id")


def uuids(milliseconds: npt.NDArray[np.int64], generator: np.random.Generator) -> pyarrow.Array:
    """Return UUIDv7 of times, their other bits random."""
    octets = generator.integers(0, 256, (len(milliseconds), 16), np.uint8)
    octets[:, :6] = milliseconds.astype(">i8").view(np.uint8).reshape(-1, 8)[:, 2:]
    octets[:, 6] = octets[:, 6] & 0x0F | 0x70
    octets[:, 8] = octets[:, 8] & 0x3F | 0x80
    text = np.insert(_HEX[octets].reshape(-1, 32), _DASHES, ord("-"), axis=1)
    return pyarrow.array(np.ascontiguousarray(text).view("S36").ravel(), pyarrow.string())


def looked_up(log: Path, day: CompactedDay) -> tuple[list[float], list[int]]:
    """Find predictions drawn at random; return the seconds and the bytes read of each.

    Raises:
        PlatformError: one was not found.
    """
    ids = drawn(log, day)
    seconds, sizes = [], []
    find(log, ids[0])  # imports and caches of the process, not of the log
    for prediction_id in ids:
        before, began = bytes_read(), perf_counter()
        found = find(log, prediction_id)
        seconds.append(perf_counter() - began)
        sizes.append(bytes_read() - before)
        if found is None or found.prediction_id != prediction_id:
            raise PlatformError(f"{prediction_id} is in the log and was not found")
    return seconds, sizes


def drawn(log: Path, day: CompactedDay) -> list[str]:
    """Return ids at random: a file each, a place in it."""
    generator = random.Random(SEED)  # noqa: S311 - no secret
    chosen = generator.choices(day.files, [file.rows for file in day.files], k=LOOK_UPS)
    return [ids_of(log, file)[generator.randrange(file.rows)].as_py() for file in chosen]


def ids_of(log: Path, file: CompactedFile) -> pyarrow.ChunkedArray:
    """Return the ids of a file; no other column is read."""
    path = log / FOLDER / file.uri
    return pyarrow.parquet.read_table(path, columns=["prediction_id"], partitioning=None)["prediction_id"]


def scanned(log: Path, day: CompactedDay) -> tuple[float, int]:
    """Look for one id as if nothing were sorted; return the seconds and the bytes read."""
    before, began = bytes_read(), perf_counter()
    for file in day.files:
        compute.any(compute.equal(ids_of(log, file), "nowhere"))
    return perf_counter() - began, bytes_read() - before


def bytes_read() -> int:
    """Return the bytes this process has read until now, as Linux counts them."""
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text(encoding="ascii").splitlines())
    return int(counts["rchar"])


def appended(folder: Path, durability: LogDurability) -> list[float]:
    """Append batches one by one, each until it is as durable as it shall be; return their seconds."""
    batch = [row(float(number), number, number / BATCH) for number in range(BATCH)]
    log = PredictionLog(folder, settings().segment_bytes, durability)

    async def append() -> float:
        began = perf_counter()
        log.append(batch)
        settling = log.settling()
        if settling is not None:
            await settling
        return perf_counter() - began

    async def append_all() -> list[float]:
        return [await append() for _ in range(BATCHES)]

    try:
        return asyncio.run(append_all())
    finally:
        log.close()


def look_up_figures(
    log: Path, day: CompactedDay, seconds: list[float], sizes: list[int]
) -> dict[str, Figure]:
    """Return the figures of the look-ups."""
    return {
        "rows": sum(file.rows for file in day.files),
        "files": len(day.files),
        "log_bytes": sum((log / FOLDER / file.uri).stat().st_size for file in day.files),
        "lookups": len(seconds),
        "lookup_p50_ms": 1e3 * median(seconds),
        "lookup_p99_ms": 1e3 * quantiles(seconds, n=100)[98],
        "lookup_bytes_p50": median(sizes),
        "lookup_bytes_max": max(sizes),
    }


def scan_figures(seconds: float, size: int) -> dict[str, Figure]:
    """Return the figures of the scan."""
    return {"scan_seconds": seconds, "scan_bytes": size}


def append_figures(appends: dict[LogDurability, list[float]]) -> dict[str, Figure]:
    """Return the figures of the appends."""
    figures: dict[str, Figure] = {"append_batch_rows": BATCH}
    for durability, seconds in appends.items():
        figures[f"append_{durability.value}_p50_ms"] = 1e3 * median(seconds)
        figures[f"append_{durability.value}_p99_ms"] = 1e3 * quantiles(seconds, n=100)[98]
    return figures


def draw_picture(figures: dict[str, Figure], folder: Path) -> None:
    """Draw how much is read to find one prediction."""
    picture = Picture(figsize=(8, 2.8), layout="constrained")
    axes = picture.subplots()
    bars = {
        "one look-up": "lookup_bytes_p50",
        "every id": "scan_bytes",
        "the whole log": "log_bytes",
    }
    drawn_bars = axes.barh(list(bars), [float(figures[name]) for name in bars.values()])
    axes.bar_label(drawn_bars, [f"{float(figures[name]) / 1e6:,.2f} MB" for name in bars.values()], padding=3)
    axes.set(xscale="log", xlabel="bytes", title=f"One prediction among {figures['rows']:,}")
    axes.set_xlim(1e4, 30 * float(figures["log_bytes"]))
    axes.invert_yaxis()
    with replacing(folder / "log.png") as path:
        picture.savefig(path, format="png", dpi=120)


if __name__ == "__main__":
    main()
