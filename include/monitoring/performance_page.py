"""A run of `<model>_performance` as a page people look at: one HTML file, no script, nothing fetched."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.contracts.measurements import Measurement, MonitorRun
from include.contracts.model import Metric
from include.contracts.performance import Comparison
from include.monitoring.baselines import BASELINE
from include.monitoring.expectations import expected_name
from include.monitoring.history import ONE_DAY, Past
from include.monitoring.measured_days import LABELS
from include.monitoring.performance import CAUSE, TRUST
from include.monitoring.performance_chart import Point, days_chart
from include.monitoring.performance_plan import Plan

_TEMPLATE = "performance.html.jinja"
_SHOWN = timedelta(days=60)


def performance_page(plan: Plan, run: MonitorRun, measured: Sequence[Measurement], past: Past) -> bytes:
    """Return the page of a run.

    Args:
        plan: what it looked at.
        run: the run.
        measured: what it stored.
        past: what was stored until and with it.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["figure"] = _figure
    newest = [each for each in measured if each.window_end > plan.newest]
    own = {metric.value for metric in Metric}
    compared = {comparison.metric for comparison in Comparison}
    page = environment.get_template(_TEMPLATE).render(
        run=run,
        causes=[each for each in newest if each.metric == CAUSE],
        charts=[(metric.value, _chart(plan, metric, past)) for metric in plan.metrics],
        tables=(
            ("Against the days before", [each for each in newest if each.metric in compared]),
            ("All, by version and by variant", [e for e in newest if e.metric in own and e.slice is None]),
            ("By slice", [each for each in newest if each.metric in own and each.slice is not None]),
            ("Labels", [each for each in measured if each.subject == LABELS]),
            ("Estimates so far: share that was right", [e for e in newest if e.metric == TRUST]),
        ),
    )
    return page.encode()


def _chart(plan: Plan, metric: Metric, past: Past) -> str:
    start = plan.newest - _SHOWN
    baselines = [each for each in past.measured(BASELINE, metric.value) if each.slice is None]
    return days_chart(
        metric.value,
        _points(past.measured(metric.value, start=start)),
        _points(past.measured(expected_name(metric), start=plan.newest + ONE_DAY)),
        baselines[-1].value if baselines else None,
    )


def _points(found: Iterable[Measurement]) -> list[Point]:
    """Return the days of the whole; of several looks the latest counts."""
    points = {
        each.window_start: Point(each.window_start, each.value, each.low, each.high)
        for each in found
        if each.window_end - each.window_start == ONE_DAY
        and (each.version, each.variant, each.slice) == (None,) * 3
        and each.value is not None
        and each.low is not None
        and each.high is not None
    }
    return list(points.values())


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
