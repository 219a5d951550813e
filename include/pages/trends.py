"""Measurements as lines over time and as a map of features against windows."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby

from pydantic import BaseModel

from include.contracts.measurements import Measurement, Monitor, Verdict
from include.contracts.moments import UtcDatetime
from include.pages.airflow_facts import STRICT
from include.pages.moments import duration

EXPECTED = "expected_"
"""Begins the metric of a figure that labels have not confirmed yet."""


class Point(BaseModel):
    """One figure of a line."""

    model_config = STRICT

    at: UtcDatetime
    """End of the window it is about."""
    value: float | None
    low: float | None
    high: float | None
    n: int
    verdict: Verdict
    reason: str


class Trend(BaseModel):
    """One figure over time."""

    model_config = STRICT

    monitor: Monitor
    metric: str
    subject: str
    version: str | None
    variant: str | None
    slice: str | None
    window_seconds: float
    """How long each window is."""
    points: tuple[Point, ...]
    """Oldest first, one a window: as it was measured last."""

    @property
    def is_expected(self) -> bool:
        """Whether it is what was expected before labels came."""
        return self.metric.startswith(EXPECTED)

    @property
    def plot(self) -> str:
        """The plot it belongs to: what was expected stands beside what came."""
        return self.metric.removeprefix(EXPECTED)

    @property
    def name(self) -> str:
        """What tells it from the others of its plot."""
        parts = (
            "expected" if self.is_expected else None,
            self.subject,
            self.slice,
            self.version,
            self.variant,
            duration(self.window_seconds),
        )
        return ", ".join(part for part in parts if part)


class HeatCell(BaseModel):
    """One feature in one window."""

    model_config = STRICT

    metric: str
    value: float | None
    verdict: Verdict
    reason: str


class HeatMap(BaseModel):
    """Features against windows."""

    model_config = STRICT

    subjects: tuple[str, ...]
    windows: tuple[UtcDatetime, ...]
    """Their ends, oldest first."""
    cells: tuple[tuple[HeatCell | None, ...], ...]
    """By subject, then by window; the worst of the figures, None where there is none."""


_SEVERITY = (Verdict.NO_DATA, Verdict.TOO_FEW, Verdict.OK, Verdict.WARNING, Verdict.ALARM, Verdict.BROKEN)


def severity(verdict: Verdict) -> int:
    """Return the place of a verdict from harmless to worst."""
    return _SEVERITY.index(verdict)


def trends(measured: Iterable[Measurement]) -> tuple[Trend, ...]:
    """Return measurements, those of earlier looks first, as lines in the order of metric, subject, version.

    A window that several looks measured is one point: late labels are known to the last of them.
    """
    latest = {(_line(each), each.window_end): each for each in measured}
    ordered = sorted(latest.values(), key=lambda each: (_line(each), each.window_end))
    return tuple(_trend(list(points)) for _, points in groupby(ordered, key=_line))


def heat_map(measured: Iterable[Measurement]) -> HeatMap | None:
    """Return the map of features against windows; None where nothing was measured."""
    cells: dict[tuple[str, datetime], Measurement] = {}
    for each in measured:
        if each.slice is None:
            key = (each.subject, each.window_end)
            if key not in cells or severity(each.verdict) > severity(cells[key].verdict):
                cells[key] = each
    if not cells:
        return None
    subjects = sorted({subject for subject, _ in cells})
    windows = sorted({window for _, window in cells})
    rows = tuple(tuple(_cell(cells.get((subject, window))) for window in windows) for subject in subjects)
    return HeatMap(subjects=tuple(subjects), windows=tuple(windows), cells=rows)


def _line(each: Measurement) -> tuple[str, str, str, str, str, str, float]:
    seconds = (each.window_end - each.window_start).total_seconds()
    parts = (each.version or "", each.variant or "", each.slice or "")
    return (each.monitor.value, each.metric, each.subject, *parts, seconds)


def _trend(points: Sequence[Measurement]) -> Trend:
    first = points[0]
    return Trend(
        monitor=first.monitor,
        metric=first.metric,
        subject=first.subject,
        version=first.version,
        variant=first.variant,
        slice=first.slice,
        window_seconds=(first.window_end - first.window_start).total_seconds(),
        points=tuple(_point(each) for each in points),
    )


def _point(each: Measurement) -> Point:
    return Point(
        at=each.window_end,
        value=each.value,
        low=each.low,
        high=each.high,
        n=each.n,
        verdict=each.verdict,
        reason=each.reason,
    )


def _cell(each: Measurement | None) -> HeatCell | None:
    if each is None:
        return None
    return HeatCell(metric=each.metric, value=each.value, verdict=each.verdict, reason=each.reason)
