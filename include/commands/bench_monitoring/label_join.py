"""The label join at ten million predictions and labels: from the compacted log to the labelled store."""

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from time import perf_counter

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.parquet

from include.adapters import label_store
from include.adapters.compacted_files import CompactedFiles
from include.adapters.compacted_log import CompactedDay, CompactedLog, Seen
from include.adapters.labelled_store import LabelledStore
from include.adapters.prediction_parquet import schema
from include.commands.bench_log import uuids
from include.commands.bench_monitoring.apart import apart
from include.commands.benchmark_record import Figure
from include.config.models import model_folder
from include.config.settings import Settings, settings
from include.contracts.errors import PlatformError
from include.monitoring.compaction import FILE_ROWS
from include.monitoring.label_days import join_days

MODEL = "churn"
DAYS, UNITS = 10, 1_000_000
"""Every unit is predicted, and labelled, every day."""
DUPLICATES, CORRECTIONS, LATE = 0.01, 0.01, 0.05
FIRST = datetime(2017, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DELAY, LATENESS = timedelta(days=14), timedelta(days=12)
IN_TIME = FIRST + DAYS * DAY + DELAY
"""Moment at which all labels but the late ones, and no correction, are known."""
AT_LAST = IN_TIME + DAYS * DAY + LATENESS
_MOMENT = pyarrow.timestamp("us", "UTC")


def measure_label_join() -> Mapping[str, Figure]:
    """Return what the join of everything takes, the same again, and of late labels and corrections alone."""
    home = settings().home
    home.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix="bench-join-", dir=home))
    try:
        apart(made_up, folder, DAYS, UNITS)
        (rows, seconds), memory = apart(joined, folder, AT_LAST)
        (again, idle_seconds), _ = apart(joined, folder, AT_LAST)
        wrong, _ = apart(mismatches, folder, DAYS, UNITS)
        shutil.rmtree(Settings(home=folder).labelled_folder)
        apart(joined, folder, IN_TIME)
        (late, late_seconds), late_memory = apart(joined, folder, AT_LAST)
    finally:
        shutil.rmtree(folder)
    if again:
        raise PlatformError(f"the join added {again} rows when nothing had changed")
    return {
        "label_join_predictions": DAYS * UNITS,
        "label_join_label_rows": DAYS * (UNITS + round(UNITS * DUPLICATES) + round(UNITS * CORRECTIONS)),
        "label_join_seconds": seconds,
        "label_join_peak_memory_mb": memory,
        "label_join_rows": rows,
        "label_join_wrong_rows": wrong,
        "label_join_again_seconds": idle_seconds,
        "label_join_late_rows": late,
        "label_join_late_seconds": late_seconds,
        "label_join_late_peak_memory_mb": late_memory,
    }


def made_up(folder: Path, days: int, units: int) -> None:
    """Write days of predictions as compaction does, and of labels as the label store has them."""
    home = Settings(home=folder)
    names = pyarrow.array(np.arange(units)).cast(pyarrow.string())
    (home.labels_folder / MODEL).mkdir(parents=True)
    for number in range(days):
        start, dice = FIRST + number * DAY, np.random.default_rng(number)
        _write_predictions(home, start, names.take(pyarrow.array(dice.permutation(units))), dice)
        path = home.labels_folder / MODEL / f"{start:%Y-%m-%d}.parquet"
        pyarrow.parquet.write_table(_labels(start, names, number), path, compression="zstd")


def joined(folder: Path, as_of: datetime) -> tuple[int, float]:
    """Join whatever changed; return the rows added and the seconds."""
    contract = model_folder(settings().model_folders, MODEL).contract
    began = perf_counter()
    done = join_days(Settings(home=folder), contract, as_of)
    return done.rows, perf_counter() - began


def mismatches(folder: Path, days: int, units: int) -> int:
    """Return how many predictions are missing or have another label than was made up."""
    store, wrong = LabelledStore(Settings(home=folder), MODEL), 0
    for number in range(days):
        start = FIRST + number * DAY
        found = store.read(start, start + DAY, AT_LAST, ("unit", "value"))
        truth = _truth(units, number)
        right = found["value"].to_numpy() == truth[found["unit"].cast(pyarrow.int64()).to_numpy()]
        wrong += units - int(right.sum())
    return wrong


def _truth(units: int, number: int) -> npt.NDArray[np.float64]:
    """Return the labels of a day as they are in the end."""
    values = np.random.default_rng([number, 1]).integers(0, 2, units).astype(np.float64)
    corrected = _corrected(units, number)
    values[corrected] = 1 - values[corrected]
    return values


def _corrected(units: int, number: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng([number, 2]).choice(units, round(units * CORRECTIONS), replace=False)


def _labels(start: datetime, names: pyarrow.Array, number: int) -> pyarrow.Table:
    units, dice = len(names), np.random.default_rng([number, 3])
    corrected, doubled = _corrected(units, number), dice.integers(0, units, round(units * DUPLICATES))
    truth, first = _truth(units, number), _truth(units, number)
    first[corrected] = 1 - first[corrected]
    is_late = dice.random(units) < LATE
    micros = int(start.timestamp() * 1_000_000)
    known = micros + _micros(DELAY) + is_late * _micros(LATENESS)
    places = np.concatenate([np.arange(units), doubled, corrected])
    versions = np.where(np.arange(len(places)) < units + len(doubled), 1, 2)
    late = _micros(DELAY + DAYS * DAY + LATENESS)
    table = pyarrow.table(
        [
            pyarrow.array([MODEL] * len(places)),
            names.take(pyarrow.array(places)),
            pyarrow.array(np.full(len(places), micros)).cast(_MOMENT),
            pyarrow.array(np.where(versions == 1, known[places], micros + late)).cast(_MOMENT),
            pyarrow.array(np.where(versions == 1, first[places], truth[places])),
            pyarrow.array(versions),
            pyarrow.array(["label.sql"] * len(places)),
        ],
        names=label_store.SCHEMA.names,
    )
    return table.cast(label_store.SCHEMA).sort_by([("unit", "ascending"), ("version", "ascending")])


def _micros(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _write_predictions(
    home: Settings, start: datetime, units: pyarrow.Array, dice: np.random.Generator
) -> None:
    """Write a day's predictions, an answer a unit, without features: the join reads none."""
    store = CompactedFiles(home.predictions_folder)
    milliseconds = int(start.timestamp() * 1_000) + np.sort(dice.integers(0, 86_400_000, len(units)))
    files = []
    for place in range(0, len(units), FILE_ROWS):
        part = slice(place, min(place + FILE_ROWS, len(units)))
        table = _predictions(units[part], milliseconds[part], dice)
        files.append(store.write(MODEL, start.date(), 0, table))
    CompactedLog(home.predictions_folder).record(start.date(), CompactedDay(files=tuple(files)), Seen())


def _predictions(
    units: pyarrow.Array, milliseconds: npt.NDArray[np.int64], dice: np.random.Generator
) -> pyarrow.Table:
    rows = len(units)
    moments = pyarrow.array(milliseconds * 1_000).cast(_MOMENT)
    scores = pyarrow.ListArray.from_arrays(
        pyarrow.array(np.arange(rows + 1), pyarrow.int32()), dice.random(rows)
    )
    known = {
        "prediction_id": uuids(milliseconds, dice),
        "unit": units,
        "model": pyarrow.array([MODEL] * rows),
        "predicted_at": moments,
        "recorded_at": moments,
        "outputs": scores,
        "served_version": pyarrow.array(["1.0.0"] * rows),
        "assigned_variant": pyarrow.array(["champion"] * rows),
        "source": pyarrow.array(["live"] * rows),
        "status": pyarrow.array(["ok"] * rows),
    }
    columns = [known.get(field.name, pyarrow.nulls(rows, field.type)) for field in schema()]
    return pyarrow.table(columns, names=schema().names).cast(schema()).sort_by("prediction_id")
