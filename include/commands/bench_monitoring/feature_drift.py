"""Feature drift at a million rows on either side and fifty inputs: time, memory, and whether it is right."""

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import numpy as np
import pyarrow
import pyarrow.parquet
from scipy.stats import ks_2samp

from include.adapters.datasets import read_dataset
from include.adapters.drift_report import DriftTests, drift_page
from include.commands.bench_monitoring.apart import apart
from include.commands.benchmark_record import Figure
from include.contracts.signatures import FeatureInput, FeatureKind, Signature, Task
from include.monitoring.samples import sample
from include.monitoring.shifts import KS, PSI, Shift, input_shifts

ROWS = 1_000_000
SIZES = (ROWS // 4, ROWS // 2, ROWS)
EVIDENTLY_SIZES = (50_000, 150_000)
"""What Evidently is measured on: a million rows take it minutes and gigabytes."""
NUMERIC, CATEGORICAL, CATEGORIES = 40, 10, 20
SIGNATURE = Signature(
    task=Task.BINARY,
    inputs=(
        *(FeatureInput(name=f"n{i}", kind=FeatureKind.NUMERIC, view="v") for i in range(NUMERIC)),
        *(FeatureInput(name=f"c{i}", kind=FeatureKind.CATEGORICAL, view="v") for i in range(CATEGORICAL)),
    ),
)
_RUNS = 3
"""Of ours before Evidently, and as many after it."""
_CHECKED = 4
"""Columns of each kind that are held against scipy and the formula."""


def measure_feature_drift() -> Mapping[str, Figure]:
    """Return the figures; Evidently makes its report of fewer such rows between our runs."""
    before = [apart(_ours, ROWS) for _ in range(_RUNS)]
    theirs = {rows: apart(_evidently, rows) for rows in EVIDENTLY_SIZES}
    after = [apart(_ours, ROWS) for _ in range(_RUNS)]
    seconds, cpu = (median(spent[place] for spent, _ in before + after) for place in (0, 1))
    extrapolated = [_line({rows: spent[place] for rows, (spent, _) in theirs.items()}) for place in (0, 1)]
    from_files, files_memory = apart(_ours_from_parquet, ROWS)
    by_size = {rows: median(apart(_ours, rows)[0][1] for _ in range(_RUNS)) for rows in SIZES[:-1]}
    largest_ks, largest_psi = apart(_differences, ROWS)[0]
    return {
        "feature_drift_rows": ROWS,
        "feature_drift_numeric_inputs": NUMERIC,
        "feature_drift_categorical_inputs": CATEGORICAL,
        "feature_drift_seconds": seconds,
        "feature_drift_cpu_seconds": cpu,
        "feature_drift_peak_memory_mb": max(memory for _, memory in before + after),
        "feature_drift_from_parquet_seconds": from_files[0],
        "feature_drift_from_parquet_peak_memory_mb": files_memory,
        **{f"evidently_drift_seconds_at_{rows}_rows": spent[0] for rows, (spent, _) in theirs.items()},
        **{f"evidently_drift_cpu_seconds_at_{rows}_rows": spent[1] for rows, (spent, _) in theirs.items()},
        **{f"evidently_drift_peak_memory_mb_at_{rows}_rows": memory for rows, (_, memory) in theirs.items()},
        "evidently_drift_seconds_extrapolated_to_1000000_rows": extrapolated[0],
        "evidently_drift_cpu_seconds_extrapolated_to_1000000_rows": extrapolated[1],
        "feature_drift_over_evidently_speedup": extrapolated[0] / seconds,
        "feature_drift_over_evidently_speedup_cpu": extrapolated[1] / cpu,
        **{f"feature_drift_cpu_seconds_at_{rows}_rows": each for rows, each in by_size.items()},
        "feature_drift_cpu_seconds_a_row_ratio_of_1000000_to_250000_rows": cpu / by_size[SIZES[0]] / 4,
        "ks_largest_difference_from_scipy": largest_ks,
        "psi_largest_difference_from_the_formula": largest_psi,
    }


class _Spent:
    """Seconds that a block takes, of the clock and of processors."""

    def __enter__(self) -> "_Spent":
        self._began = perf_counter(), process_time()
        return self

    def __exit__(self, *_: object) -> None:
        now = perf_counter(), process_time()
        self.seconds = now[0] - self._began[0], now[1] - self._began[1]


def _line(seconds: Mapping[int, float]) -> float:
    """Return what a straight line through two sizes says of all rows."""
    (small, less), (large, more) = sorted(seconds.items())
    return less + (more - less) / (large - small) * (ROWS - small)


def tables(rows: int) -> list[pyarrow.Table]:
    """Return a reference and a window, a fifth of whose columns have moved by a fifth of their spread."""
    found = []
    for moved in (0.0, 0.2):
        dice = np.random.default_rng(int(moved * 10))
        columns: dict[str, pyarrow.Array] = {}
        for place in range(NUMERIC):
            columns[f"n{place}"] = pyarrow.array(dice.normal(moved * (place % 5 == 0), 1.0, rows))
        names = pyarrow.array([f"category {number}" for number in range(CATEGORIES)])
        for place in range(CATEGORICAL):
            shares = np.arange(1, CATEGORIES + 1) ** (1 + moved * (place % 5 == 0))
            codes = dice.choice(CATEGORIES, rows, p=shares / shares.sum())
            columns[f"c{place}"] = names.take(pyarrow.array(codes))
        found.append(pyarrow.table(columns))
    return found


def _ours(rows: int) -> tuple[float, float]:
    reference, current = tables(rows)
    with _Spent() as spent:
        input_shifts(sample(reference), sample(current), SIGNATURE)
    return spent.seconds


def _ours_from_parquet(rows: int) -> tuple[float, float]:
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("reference.parquet", "current.parquet")]
        _write(paths, rows)
        with _Spent() as spent:
            reference, current = (sample(read_dataset(str(path))) for path in paths)
            input_shifts(reference, current, SIGNATURE)
        return spent.seconds


def _write(paths: list[Path], rows: int) -> None:
    for path, table in zip(paths, tables(rows), strict=True):
        pyarrow.parquet.write_table(table, path)


def _evidently(rows: int) -> tuple[float, float]:
    reference, current = (table.to_pandas() for table in tables(rows))
    tests = DriftTests(SIGNATURE.numeric, SIGNATURE.categorical, p_value=0.05, index=0.2)
    _warm(tests)
    with _Spent() as spent:
        drift_page(reference, current, tests, "benchmark")
    return spent.seconds


def _warm(tests: DriftTests) -> None:
    """Have Evidently imported before it is timed."""
    few = [table.to_pandas() for table in tables(100)]
    drift_page(few[0], few[1], tests, "warm up")


def _differences(rows: int) -> tuple[float, float]:
    reference, current = tables(rows)
    found = input_shifts(sample(reference), sample(current), SIGNATURE)
    ours = {(each.subject, each.metric): each for each in found}
    distances, indices = [], []
    for place in range(_CHECKED):
        theirs = ks_2samp(current[f"n{place}"].to_numpy(), reference[f"n{place}"].to_numpy(), method="asymp")
        distance = ours[f"n{place}", KS]
        distances.append(
            max(abs(_value(distance) - theirs.statistic), abs((distance.p_value or 0.0) - theirs.pvalue))
        )
        indices.append(abs(_value(ours[f"c{place}", PSI]) - _by_formula(reference, current, f"c{place}")))
    return float(max(distances)), float(max(indices))


def _value(shift: Shift) -> float:
    return float("nan") if shift.value is None else shift.value


def _by_formula(reference: pyarrow.Table, current: pyarrow.Table, name: str) -> float:
    """Return the stability index as it is defined, a category at a time."""
    shares = []
    for table in (reference, current):
        counted = table[name].to_pandas().value_counts(normalize=True)
        shares.append(counted.to_dict())
    total = 0.0
    for category in shares[0].keys() | shares[1].keys():
        p, q = (each.get(category, 0.0) or 1e-4 for each in shares)
        total += (q - p) * float(np.log(q / p))
    return total
