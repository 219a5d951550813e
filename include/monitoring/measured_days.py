"""Days of labelled predictions as measurements: metrics of every group, maturity of labels, bad labels."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow
from pyarrow import compute

from include.adapters.labelled_store import LabelledStore, days_between
from include.adapters.slice_values import slice_values
from include.config.settings import Settings
from include.contracts.labelled import LabelledDay
from include.contracts.measurements import Measurement, Verdict
from include.contracts.performance import PerformanceReason
from include.monitoring.figures import Figure, figures_of, usable
from include.monitoring.history import ERROR, ONE_DAY, SCORE
from include.monitoring.label_days import answered_predictions
from include.monitoring.performance_plan import Plan, Window

LABELS = "labels"
"""Subject of what is said of labels."""
_COLUMNS = ("prediction_id", "unit", "served_version", "assigned_variant", "outputs", "value", "known_at")
_LACKING = {
    PerformanceReason.TOO_FEW_LABELS: Verdict.TOO_FEW,
    PerformanceReason.NOT_DEFINED: Verdict.TOO_FEW,
    PerformanceReason.MEASURED: Verdict.OK,
}


@dataclass(frozen=True)
class _Day:
    """Labelled predictions of a day, and which part of each slice they are of, by `<view>.<column>`."""

    rows: pyarrow.Table
    parts: Mapping[str, pyarrow.ChunkedArray]


def measured_windows(
    settings: Settings, plan: Plan, windows: Sequence[Window]
) -> tuple[dict[Window, list[Figure]], list[Measurement]]:
    """Return the figures of windows that overlap, and what is stored of them."""
    midnights = sorted({day for each in windows for day in days_between(each.start, each.end)})
    loaded = {day: _loaded(settings, plan, day) for day in midnights}
    figures, measured = {}, []
    for window in windows:
        days = [loaded[day] for day in days_between(window.start, window.end)]
        figures[window] = _figures(plan, days)
        predictions = _predictions(settings, plan, window) if window.days == 1 else sum(map(_length, days))
        measured += [_measurement(plan, window, each, predictions) for each in figures[window]]
        if window.days == 1 and predictions:
            measured.append(_maturity(plan, window, days[0].rows, predictions))
    return figures, measured


def refused_labels(plan: Plan, joined: Sequence[LabelledDay]) -> list[Measurement]:
    """Return how many labels the last join set aside, by reason; nothing where it joined nothing."""
    if not joined:
        return []
    counts: Counter[str] = Counter()
    for state in joined:
        counts.update({str(reason): count for reason, count in state.refused.items()})
    window = Window(joined[0].start, joined[-1].start + ONE_DAY)
    return [
        plan.measurement(
            window,
            subject=LABELS,
            metric="refused",
            value=counts.total(),
            n=sum(state.predictions for state in joined),
            verdict=Verdict.WARNING if counts else Verdict.OK,
            reason=PerformanceReason.REFUSED_LABELS if counts else PerformanceReason.MEASURED,
            details=dict(counts),
        )
    ]


def _loaded(settings: Settings, plan: Plan, day: datetime) -> _Day:
    contract = plan.contract
    stored = LabelledStore(settings, contract.name).read(day, day + ONE_DAY, plan.as_of, _COLUMNS)
    # In order, so that sums of the same rows are the same to the last digit.
    rows = usable(contract.signature, stored).sort_by("prediction_id")
    parts = {}
    for each in contract.slices:
        known = slice_values(settings, each.view, each.column, contract.entity.name, day)
        places = compute.index_in(rows["unit"], known["unit"].combine_chunks())
        parts[f"{each.view}.{each.column}"] = known["part"].take(places.combine_chunks())
    return _Day(rows, parts)


def _figures(plan: Plan, days: Sequence[_Day]) -> list[Figure]:
    rows = pyarrow.concat_tables([day.rows for day in days])
    chunks = {name: [part for day in days for part in day.parts[name].chunks] for name in days[0].parts}
    slices = {name: pyarrow.chunked_array(found, pyarrow.string()) for name, found in chunks.items()}
    return figures_of(plan.contract.signature, plan.metrics, rows, slices)


def _length(day: _Day) -> int:
    return int(day.rows.num_rows)


def _predictions(settings: Settings, plan: Plan, window: Window) -> int:
    """Return how many predictions of a day could have a label."""
    return int(answered_predictions(settings, plan.contract.name, window.start, window.end).num_rows)


def _measurement(plan: Plan, window: Window, figure: Figure, predictions: int) -> Measurement:
    estimate = figure.estimate
    interval = estimate.interval() if estimate else None
    return plan.measurement(
        window,
        version=figure.group.version,
        variant=figure.group.variant,
        slice=figure.group.slice,
        subject=SCORE,
        metric=figure.metric.value,
        value=estimate.value if estimate else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n=figure.rows,
        verdict=_LACKING[figure.reason] if predictions else Verdict.NO_DATA,
        reason=figure.reason if predictions else PerformanceReason.NO_PREDICTIONS,
        details={"units": figure.units} | ({ERROR: estimate.standard_error} if estimate else {}),
    )


def _maturity(plan: Plan, window: Window, labelled: pyarrow.Table, predictions: int) -> Measurement:
    """Return which part of a day's predictions is labelled, and how long after the day that took."""
    start = pyarrow.scalar(window.start, labelled["known_at"].type)
    waited = compute.days_between(start, labelled["known_at"]).to_numpy()
    days, counts = np.unique(waited, return_counts=True)
    return plan.measurement(
        window,
        subject=LABELS,
        metric="maturity",
        value=min(1.0, len(labelled) / predictions),
        n=predictions,
        verdict=Verdict.OK if len(labelled) else Verdict.TOO_FEW,
        reason=PerformanceReason.MEASURED if len(labelled) else PerformanceReason.TOO_FEW_LABELS,
        details={"days": days.tolist(), "share": (counts.cumsum() / predictions).tolist()},
    )
