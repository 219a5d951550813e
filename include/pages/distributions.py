"""How the newest values of a view are spread, as small as a line of a table."""

from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
from pyarrow import compute
from pydantic import BaseModel

from include.config.settings import Settings
from include.features.views import View, offline_folder
from include.pages.airflow_facts import STRICT

BINS = 20
ROWS = 200_000
"""Most rows that are looked at."""
_CATEGORIES = 8


class Distribution(BaseModel):
    """One feature's values."""

    model_config = STRICT

    rows: int
    missing_ratio: float
    labels: tuple[str, ...]
    """What each count is of: a span of numbers, or a category; the last category may be `others`."""
    counts: tuple[int, ...]
    low: float | None
    high: float | None
    """Smallest and largest number; None for categories."""


def distributions(settings: Settings, view: View) -> dict[str, Distribution]:
    """Return the spread of every feature of a view's newest day, by name; empty where none was computed."""
    days = sorted(offline_folder(settings, view.name).glob("*.parquet"))
    if not days:
        return {}
    names = tuple(field.name for field in view.definition.fields)
    return _of_file(str(days[-1]), days[-1].stat().st_mtime_ns, names)


@lru_cache(maxsize=256)
def _of_file(path: str, _stamp: int, names: tuple[str, ...]) -> dict[str, Distribution]:
    table = _head(Path(path), names)
    return {name: _spread(table[name]) for name in table.column_names if table.num_rows}


def _head(path: Path, names: tuple[str, ...]) -> pyarrow.Table:
    with pyarrow.parquet.ParquetFile(path) as file:
        batches: list[pyarrow.RecordBatch] = []
        for batch in file.iter_batches(columns=list(names)):
            batches.append(batch)
            if sum(each.num_rows for each in batches) >= ROWS:
                break
        return pyarrow.Table.from_batches(batches, None if batches else file.schema_arrow)


def _spread(column: pyarrow.ChunkedArray) -> Distribution:
    missing = column.null_count / len(column)
    known = column.drop_null()
    if pyarrow.types.is_timestamp(column.type):
        known = compute.cast(known, pyarrow.int64())
    if pyarrow.types.is_integer(known.type) or pyarrow.types.is_floating(known.type):
        return _numbers(known.to_numpy().astype(float), len(column), missing)
    return _categories(known, len(column), missing)


def _numbers(
    values: "np.ndarray[tuple[int], np.dtype[np.float64]]", rows: int, missing: float
) -> Distribution:
    finite = values[np.isfinite(values)]
    counts, edges = np.histogram(finite, bins=BINS) if finite.size else (np.zeros(0, int), np.zeros(1))
    return Distribution(
        rows=rows,
        missing_ratio=missing,
        labels=tuple(f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)),
        counts=tuple(int(count) for count in counts),
        low=float(finite.min()) if finite.size else None,
        high=float(finite.max()) if finite.size else None,
    )


def _categories(known: pyarrow.ChunkedArray, rows: int, missing: float) -> Distribution:
    found = sorted(
        ((str(each["values"]), int(each["counts"])) for each in compute.value_counts(known).to_pylist()),
        key=lambda pair: -pair[1],
    )
    shown, others = found[:_CATEGORIES], found[_CATEGORIES:]
    if others:
        shown.append(("others", sum(count for _, count in others)))
    return Distribution(
        rows=rows,
        missing_ratio=missing,
        labels=tuple(label for label, _ in shown),
        counts=tuple(count for _, count in shown),
        low=None,
        high=None,
    )
