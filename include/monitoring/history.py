"""What earlier runs measured, as days to compare with: the trailing ones, and a version's first ones."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.adapters.measurements import MeasurementStore
from include.contracts.measurements import Measurement, Monitor
from include.contracts.model import Metric
from include.monitoring.figures import Figure, Group
from include.stats.degradation import DayFigure, Reference, reference_of
from include.stats.intervals import Estimate

SCORE = "score"
"""Subject of figures of performance."""
BASELINE_DAYS = 14
"""Judged days of a version that make its baseline."""
ERROR = "standard_error"
ONE_DAY = timedelta(days=1)

Series = Mapping[datetime, DayFigure]
Key = tuple[str | None, Metric]
"""A slice (None: all) and a metric."""


@dataclass(frozen=True)
class Days:
    """Daily figures by start of their day, of earlier runs and this one."""

    by_key: Mapping[Key, Series]
    versions: Mapping[datetime, str]
    """Version that answered most, by day."""

    def between(self, key: Key, start: datetime, end: datetime) -> list[DayFigure]:
        """Return the judged days in [start, end), in order."""
        series = self.by_key.get(key, {})
        return [series[day] for day in sorted(series) if start <= day < end]


@dataclass(frozen=True)
class Past:
    """What runs of the monitor that looked from before a moment measured."""

    store: MeasurementStore
    model: str
    before: datetime

    def measured(
        self,
        metric: str,
        subject: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> tuple[Measurement, ...]:
        """Return the measurements of a metric over windows in [start, end], the first looks first."""
        return self.store.measurements(
            self.model,
            monitor=Monitor.PERFORMANCE,
            metric=metric,
            subject=subject,
            start=start,
            end=end,
            before=self.before,
        )


def read_days(past: Past, metrics: Sequence[Metric], start: datetime, end: datetime) -> Days:
    """Return what runs measured of the days in [start, end); of several the latest look counts."""
    by_key: defaultdict[Key, dict[datetime, DayFigure]] = defaultdict(dict)
    counts: defaultdict[datetime, dict[str, int]] = defaultdict(dict)
    for metric in metrics:
        for each in past.measured(metric.value, SCORE, start, end):
            if each.window_end - each.window_start != ONE_DAY:
                continue
            if each.version is not None:
                counts[each.window_start][each.version] = each.n
            elif each.variant is None and each.value is not None:
                by_key[each.slice, metric][each.window_start] = day_figure(each)
    return Days(
        by_key, {day: max(found, key=lambda version: found[version]) for day, found in counts.items()}
    )


def with_figures(days: Days, start: datetime, figures: Sequence[Figure]) -> Days:
    """Return days with what was just measured of one of them."""
    by_key = {key: dict(series) for key, series in days.by_key.items()}
    for each in figures:
        if each.estimate is not None and each.group == Group(slice=each.group.slice):
            key = (each.group.slice, each.metric)
            by_key.setdefault(key, {})[start] = DayFigure(each.estimate, each.rows)
    version = main_version(figures)
    return Days(by_key, {**days.versions, **({start: version} if version else {})})


def main_version(figures: Sequence[Figure]) -> str | None:
    """Return the version that answered most."""
    counts = {each.group.version: each.rows for each in figures if each.group.version is not None}
    return max(counts, key=lambda version: counts[version], default=None)


def day_figure(stored: Measurement) -> DayFigure:
    """Return a stored daily figure as it was judged."""
    return DayFigure(Estimate(stored.value or 0.0, stored.details[ERROR]), stored.n)


def trailing(days: Days, key: Key, start: datetime, span: timedelta, overlap: int) -> Reference | None:
    """Return the mean of the days before a moment; None where too few were judged."""
    return _reference(days.between(key, start - span, start), overlap)


@dataclass(frozen=True)
class Baseline:
    """A version's first judged days: what it was worth when it came."""

    reference: Reference
    start: datetime
    end: datetime
    rows: int


def first_days(days: Days, key: Key, version: str, end: datetime, overlap: int) -> Baseline | None:
    """Return what a version's first judged days make; None while they are fewer than `BASELINE_DAYS`."""
    began = min((day for day, answered in days.versions.items() if answered == version), default=end)
    series = days.by_key.get(key, {})
    chosen = [day for day in sorted(series) if began <= day < end][:BASELINE_DAYS]
    if len(chosen) < BASELINE_DAYS:
        return None
    figures = [series[day] for day in chosen]
    reference = reference_of(figures, overlap)
    return Baseline(reference, chosen[0], chosen[-1] + ONE_DAY, sum(each.rows for each in figures))


def _reference(found: list[DayFigure], overlap: int) -> Reference | None:
    try:
        return reference_of(found, overlap)
    except ValueError:
        return None
