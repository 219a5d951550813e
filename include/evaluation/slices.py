"""Slices: the rows that share a value, as of their event time, and whether any is served badly."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from include.adapters.snapshots import UNIT
from include.contracts.errors import DataError
from include.contracts.model import Metric, Slice, Threshold
from include.contracts.reports import (
    GateKind,
    GateReason,
    GateResult,
    MetricInterval,
    SliceFigures,
    SliceStatus,
    Verdict,
)
from include.contracts.signatures import Task
from include.evaluation.scored import Mask, Scored
from include.stats.bootstrap import bootstrap_estimate
from include.stats.intervals import Estimate
from include.stats.metrics import weighted_metric
from include.stats.multiplicity import holm

RESAMPLES = 200
CONFIDENCE = 0.95
MOST_VALUES = 100
"""A column with more values does not part rows into groups anybody could read."""

_LACKING = {
    Task.BINARY: "rows of both classes",
    Task.MULTICLASS: "rows of more than one class",
    Task.REGRESSION: "rows",
}


def slice_figures(candidate: Scored) -> tuple[SliceFigures, ...]:
    """Return every slice of every column the contract names; rows without a value are a slice too.

    A slice of a column the training set was not frozen with is left out; `slice_gates` says so.

    Raises:
        DataError: a column has too many values to be a slice.
    """
    return tuple(
        figures
        for part in candidate.contract.slices
        if part.frozen_as in candidate.rows
        for figures in _figures_of(part, candidate)
    )


def slice_gates(candidate: Scored, slices: tuple[SliceFigures, ...]) -> tuple[GateResult, ...]:
    """Ask, for each bound, whether any slice is shown to miss it.

    A small slice scatters, and among many slices some miss a bound by chance. So a slice fails only where a
    one-sided test (the bootstrap's standard error over units, normal) rejects that it reaches the bound, at
    5 % over all slices and bounds together (Holm). That is the burden of proof turned round, on purpose: the
    whole benchmark must show that a model is good, a slice that it is bad.
    """
    gates = candidate.contract.gates.slices
    columns = [part.frozen_as for part in candidate.contract.slices]
    missing = [name for name in columns if name not in candidate.rows]
    if not columns or not gates:
        return ()
    if missing:
        return tuple(_not_frozen(threshold, missing) for threshold in gates)
    judged = [each for each in slices if each.status is SliceStatus.JUDGED]
    if not judged:
        lacking = _LACKING[candidate.contract.task]
        return tuple(_none_large_enough(threshold, slices, lacking) for threshold in gates)
    p_values = [_p_value(threshold, each) for threshold in gates for each in judged]
    adjusted = holm(p_values).reshape(len(gates), len(judged))
    return tuple(
        _gate(threshold, list(zip(judged, row, strict=True)))
        for threshold, row in zip(gates, adjusted.tolist(), strict=True)
    )


def _figures_of(part: Slice, candidate: Scored) -> Iterator[SliceFigures]:
    column = candidate.rows[part.frozen_as]
    values = sorted(column.dropna().unique().tolist())
    if len(values) > MOST_VALUES:
        raise DataError(
            f"slice {part.column} of {part.view} has {len(values)} values, at most {MOST_VALUES} are judged; "
            "slice by a coarser column"
        )
    for value in values:
        yield _figures(part, value, np.asarray(column == value, np.bool_), candidate)
    if column.isna().any():
        yield _figures(part, None, np.asarray(column.isna(), np.bool_), candidate)


def _figures(part: Slice, value: str | None, mask: Mask, candidate: Scored) -> SliceFigures:
    rows = int(mask.sum())
    metrics = candidate.part(mask) if rows >= part.minimum_rows else {}
    too_few = SliceStatus.TOO_FEW_ROWS if rows < part.minimum_rows else SliceStatus.ONE_CLASS
    return SliceFigures(
        view=part.view,
        column=part.column,
        value=value,
        rows=rows,
        status=SliceStatus.JUDGED if metrics else too_few,
        metrics=metrics,
        intervals=_intervals(candidate, mask) if metrics else {},
    )


def _intervals(candidate: Scored, mask: Mask) -> dict[str, MetricInterval]:
    bounded = dict.fromkeys(threshold.metric for threshold in candidate.contract.gates.slices)
    found = {}
    for metric in bounded:
        limits = _estimate(metric, candidate, candidate.rows[mask], mask).interval(CONFIDENCE)
        found[metric.value] = MetricInterval(
            low=limits.low, value=limits.value, high=limits.high, confidence=CONFIDENCE
        )
    return found


def _estimate(metric: Metric, candidate: Scored, rows: pd.DataFrame, mask: Mask) -> Estimate:
    contract = candidate.contract
    return bootstrap_estimate(
        weighted_metric(metric, contract.task, candidate.labels[mask], candidate.scores[mask]),
        rows[UNIT].to_numpy(object),
        seed=contract.training.seed,
        resamples=RESAMPLES,
    )


def _p_value(threshold: Threshold, figures: SliceFigures) -> float:
    """Return the probability of a figure this bad or worse in a slice that just reaches the bound."""
    interval = figures.intervals[threshold.metric.value]
    gap = interval.value - threshold.bound
    better = gap if threshold.minimum is not None else -gap
    error = (interval.high - interval.value) / Estimate(0.0, 1.0).interval(CONFIDENCE).high
    if error == 0.0:
        return float(better >= 0.0)
    return Estimate(better, error).lower_tail(better / error)


def _gate(threshold: Threshold, judged: list[tuple[SliceFigures, float]]) -> GateResult:
    name = threshold.metric.value
    worse = [(figures, p_value) for figures, p_value in judged if p_value < 1 - CONFIDENCE]
    sign = 1 if threshold.minimum is not None else -1
    worst = min(judged, key=lambda each: (each[1], sign * each[0].metrics[name]))
    told = "; ".join(_told(figures, p_value, name) for figures, p_value in (worse or [worst]))
    return GateResult(
        kind=GateKind.SLICE,
        metric=name,
        verdict=Verdict.FAIL if worse else Verdict.PASS,
        reason=GateReason.WORSE_ON_A_SLICE if worse else GateReason.REACHED,
        subject=worst[0].name,
        value=worst[0].metrics[name],
        bound=threshold.bound,
        detail=(
            f"{len(worse)} of {len(judged)} slices are shown to miss {name} {threshold}; "
            f"{'these' if worse else 'nearest to it'}: {told}"
        ),
    )


def _told(figures: SliceFigures, p_value: float, name: str) -> str:
    interval = figures.intervals[name]
    return (
        f"{figures.name}: {interval.value:.4f} [{interval.low:.4f}, {interval.high:.4f}] "
        f"on {figures.rows} rows, adjusted p {p_value:.2g}"
    )


def _not_frozen(threshold: Threshold, missing: list[str]) -> GateResult:
    return GateResult(
        kind=GateKind.SLICE,
        metric=threshold.metric.value,
        verdict=Verdict.NOT_MEASURED,
        reason=GateReason.COLUMN_NOT_FROZEN,
        value=None,
        bound=threshold.bound,
        detail=f"the training set lacks {', '.join(missing)}; freeze it again",
    )


def _none_large_enough(threshold: Threshold, slices: tuple[SliceFigures, ...], lacking: str) -> GateResult:
    most = max((each.rows for each in slices), default=0)
    return GateResult(
        kind=GateKind.SLICE,
        metric=threshold.metric.value,
        verdict=Verdict.NOT_MEASURED,
        reason=GateReason.NO_SLICE_LARGE_ENOUGH,
        value=None,
        bound=threshold.bound,
        detail=(
            f"none of {len(slices)} slices has its minimum of {lacking}; the largest has {most}: lower "
            "minimum_rows, slice by a coarser column, or take the bound off gates.slices"
        ),
    )
