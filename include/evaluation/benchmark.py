"""The frozen benchmark: the test window in parts, the same rows for candidate and champion."""

from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd

from include.adapters.snapshots import EVENT_AT, rows_sha256
from include.contracts.canonical import content_hash
from include.contracts.model import ModelContract, Threshold
from include.contracts.packages import Snapshot
from include.contracts.reports import Benchmark, GateKind, GateReason, GateResult, Verdict, WindowFigures
from include.contracts.windows import Window
from include.evaluation.gates import missed
from include.evaluation.scored import Mask, Scored


def benchmark(contract: ModelContract, snapshot: Snapshot, rows: pd.DataFrame) -> Benchmark:
    """Return what identifies a benchmark: its definition, the training set's hash, and its rows'."""
    definition = contract.model_dump(
        mode="json", include={"gates": {"benchmark", "slices", "thresholds"}, "slices": True, "label": True}
    )
    return Benchmark(
        definition_sha256=content_hash(definition | {"test_seconds": contract.training.test.total_seconds()}),
        snapshot_sha256=snapshot.sha256,
        rows_sha256=rows_sha256(rows),
        windows=contract.gates.benchmark.windows,
    )


def window_bounds(test: Window, label_delay: timedelta, count: int) -> tuple[tuple[datetime, datetime], ...]:
    """Cut the test window's event times into parts of equal length, oldest first."""
    step = (test.end - label_delay - test.start) / count
    edges = [test.start + index * step for index in range(count)] + [test.end - label_delay]
    return tuple(pairwise(edges))


def window_figures(test: Window, candidate: Scored, champion: Scored | None) -> tuple[WindowFigures, ...]:
    """Return each window's rows and metrics; the last window takes in its end."""
    contract = candidate.contract
    bounds = window_bounds(test, contract.label.delay, contract.gates.benchmark.windows)
    found = []
    for start, end in bounds:
        mask = _within(candidate.rows[EVENT_AT], start, end, is_last=end == bounds[-1][1])
        found.append(
            WindowFigures(
                start=start,
                end=end,
                rows=int(mask.sum()),
                metrics=candidate.part(mask),
                champion_metrics=champion.part(mask) if champion else {},
            )
        )
    return tuple(found)


def window_gates(contract: ModelContract, windows: tuple[WindowFigures, ...]) -> tuple[GateResult, ...]:
    """Hold every window against the bounds for windows; one that cannot be judged is no pass."""
    return tuple(
        _window_gate(threshold, window)
        for threshold in contract.gates.benchmark.thresholds
        for window in windows
    )


def _window_gate(threshold: Threshold, window: WindowFigures) -> GateResult:
    name, subject = threshold.metric.value, f"{window.start.date()} to {window.end.date()}"
    value = window.metrics.get(name)
    if value is None:
        verdict, reason = Verdict.NOT_MEASURED, GateReason.TOO_FEW_ROWS
        detail = f"the window {subject} has {window.rows} rows, or one class only: {name} is undefined"
    else:
        reason = missed(threshold, value) or GateReason.REACHED
        verdict = Verdict.PASS if reason is GateReason.REACHED else Verdict.FAIL
        detail = f"{name} {value:.4f} on {window.rows} rows of {subject}; must be {threshold}"
    return GateResult(
        kind=GateKind.BENCHMARK,
        metric=name,
        verdict=verdict,
        reason=reason,
        subject=subject,
        value=value,
        bound=threshold.bound,
        detail=detail,
    )


def _within(moments: pd.Series, start: datetime, end: datetime, *, is_last: bool) -> Mask:
    before = moments <= end if is_last else moments < end
    return np.asarray((moments >= start) & before, np.bool_)
