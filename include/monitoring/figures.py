"""Metrics of labelled predictions with their errors: all of them, by version, by variant, by slice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow
from pyarrow import compute

from include.contracts.model import Metric
from include.contracts.performance import PerformanceReason
from include.contracts.signatures import Signature, Task
from include.stats.influence import clustered_estimate, influences
from include.stats.intervals import Estimate
from include.stats.metrics import DECISION_THRESHOLD, Array

FEWEST_UNITS = 100
"""Units whose labels are known below which a window is not judged."""
FEWEST_OF_A_KIND = 10
"""Rows of either class, and rows predicted positive, that a metric which counts them needs."""
NO_VALUE = "none"
"""Slice of those the view says nothing of."""


@dataclass(frozen=True)
class Group:
    """Part of the predictions; None means all."""

    version: str | None = None
    variant: str | None = None
    slice: str | None = None


EVERYBODY = Group()


@dataclass(frozen=True)
class Figure:
    """A metric of a group; no estimate where the reason says why."""

    group: Group
    metric: Metric
    rows: int
    units: int
    estimate: Estimate | None
    reason: PerformanceReason = PerformanceReason.MEASURED


@dataclass(frozen=True)
class Rows:
    """Labelled predictions as arrays, those the model could not have meant left out."""

    labels: Array
    scores: Array
    units: npt.NDArray[np.int64]

    def of(self, chosen: npt.NDArray[np.bool_]) -> "Rows":
        """Return some of them."""
        return Rows(self.labels[chosen], self.scores[chosen], self.units[chosen])


def usable(signature: Signature, table: pyarrow.Table) -> pyarrow.Table:
    """Return the predictions whose outputs are finite and as many as the signature says."""
    width = signature.outputs
    table = table.filter(compute.equal(compute.list_value_length(table["outputs"]), width))
    return table.filter(pyarrow.array(np.isfinite(_scores(table, width)).all(axis=1)))


def rows_of(signature: Signature, table: pyarrow.Table) -> Rows:
    """Return usable predictions as arrays."""
    scores = _scores(table, signature.outputs)
    codes = table["unit"].combine_chunks().dictionary_encode().indices
    return Rows(
        labels=table["value"].to_numpy(),
        scores=scores if signature.task is Task.MULTICLASS else scores[:, 0],
        units=codes.to_numpy(zero_copy_only=False).astype(np.int64),
    )


def figures_of(
    signature: Signature,
    metrics: Sequence[Metric],
    table: pyarrow.Table,
    slices: Mapping[str, pyarrow.ChunkedArray],
) -> list[Figure]:
    """Return every metric of every group.

    Args:
        signature: what the model gives.
        metrics: which.
        table: usable labelled predictions.
        slices: by `<view>.<column>`, each row's value.
    """
    rows = rows_of(signature, table)
    return [
        _figure(signature.task, metric, group, rows.of(chosen))
        for group, chosen in _groups(table, slices)
        for metric in metrics
    ]


def _groups(
    table: pyarrow.Table, slices: Mapping[str, pyarrow.ChunkedArray]
) -> Iterator[tuple[Group, npt.NDArray[np.bool_]]]:
    yield EVERYBODY, np.ones(len(table), np.bool_)
    for value, chosen in _parts(table["served_version"]):
        yield Group(version=value), chosen
    for value, chosen in _parts(table["assigned_variant"]):
        yield Group(variant=value), chosen
    for name, values in slices.items():
        if values.null_count == len(values):
            continue  # the view knows nobody: such a slice would be everybody
        for value, chosen in _parts(values):
            yield Group(slice=f"{name}={value}"), chosen


def _parts(values: pyarrow.ChunkedArray) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    encoded = compute.fill_null(values, NO_VALUE).combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    for code, value in enumerate(encoded.dictionary.to_pylist()):
        yield value, codes == code


def _figure(task: Task, metric: Metric, group: Group, rows: Rows) -> Figure:
    units = len(np.unique(rows.units))
    if units < FEWEST_UNITS or (task is Task.BINARY and _is_lopsided(metric, rows)):
        return Figure(group, metric, len(rows.labels), units, None, PerformanceReason.TOO_FEW_LABELS)
    try:
        found = clustered_estimate(influences(metric, task, rows.labels, rows.scores), rows.units)
    except ValueError:
        return Figure(group, metric, len(rows.labels), units, None, PerformanceReason.NOT_DEFINED)
    return Figure(group, metric, len(rows.labels), units, found)


def _is_lopsided(metric: Metric, rows: Rows) -> bool:
    positive = int((rows.labels == 1).sum())
    counts = [positive, len(rows.labels) - positive]
    if metric is Metric.PRECISION:
        counts.append(int((rows.scores >= DECISION_THRESHOLD).sum()))
    return min(counts) < FEWEST_OF_A_KIND


def _scores(table: pyarrow.Table, width: int) -> Array:
    flat = compute.list_flatten(table["outputs"]).to_numpy()
    return np.asarray(flat, np.float64).reshape(-1, width)
