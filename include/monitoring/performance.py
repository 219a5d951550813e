"""`<model>_performance`: what predictions were worth, once their labels are known.

Every run measures the newest day whose labels are due, and again each day whose labels changed; judges the
day and the week that ends with it; says what days without labels are expected to bring, how such expectations
did, and of a decline whether other inputs explain it.
"""

from collections.abc import Sequence
from datetime import datetime

from include.adapters.labelled_store import LabelledStore, days_between, midnight
from include.adapters.measurements import MeasurementStore
from include.config.settings import Settings
from include.contracts.labelled import LabelledDay
from include.contracts.measurements import Measurement, Monitor, MonitorRun, Verdict, worst
from include.contracts.model import Metric
from include.contracts.performance import PerformanceReason
from include.monitoring.baselines import Baselines
from include.monitoring.causes import why_worse
from include.monitoring.expectations import (
    Expectation,
    Record,
    expectable,
    expectations,
    expected_name,
    learnt_calibrator,
    record_of,
    stored_expectations,
)
from include.monitoring.figures import Figure
from include.monitoring.history import (
    ONE_DAY,
    SCORE,
    Days,
    Past,
    main_version,
    read_days,
    trailing,
    with_figures,
)
from include.monitoring.judged_days import Compared, judged, measurements_of
from include.monitoring.measured_days import measured_windows, refused_labels
from include.monitoring.performance_plan import WEEK, Plan, Window, midnight_of
from include.stats.degradation import Degradation, Outcome, degradation, outcomes
from include.stats.expected_performance import Trust

CAUSE = "cause"
"""Metric under which it is kept what explains a decline; its subject is what fell."""
TRUST = "expectation_hits"
"""Metric under which it is kept how often expectations were right."""
_SERIES_DAYS = 90
"""Days back that daily figures are read."""
_TRUSTED = {
    Trust.TRUSTED: (Verdict.OK, PerformanceReason.TRUSTED),
    Trust.UNPROVEN: (Verdict.OK, PerformanceReason.UNPROVEN),
    Trust.DISTRUSTED: (Verdict.WARNING, PerformanceReason.DISTRUSTED),
}


def measure(
    settings: Settings, plan: Plan, store: MeasurementStore, joined: Sequence[LabelledDay]
) -> list[Measurement]:
    """Return everything a run has to say.

    Args:
        settings: says where logs and stores lie.
        plan: what to look at.
        store: what earlier runs measured.
        joined: days the join changed.
    """
    past = Past(store, plan.contract.name, plan.as_of)
    first = plan.newest - _SERIES_DAYS * ONE_DAY
    days = read_days(past, plan.metrics, first, plan.newest + ONE_DAY)
    found = refused_labels(plan, joined)
    baselines = Baselines(plan, past)
    for day in _due(settings, plan, days, joined):
        figures, measured = measured_windows(settings, plan, plan.windows(day))
        [today, *_] = figures.values()
        days = with_figures(days, day, today)
        found += [*measured, *_judge(settings, plan, baselines, days, figures)]
    return found + _expect(settings, plan, past, days)


def run_of(plan: Plan, measured: Sequence[Measurement], recorded_at: datetime) -> MonitorRun:
    """Return the run; its verdict is that of the newest day, its week, and the days after it."""
    speaking = [each for each in measured if each.window_end > plan.newest]
    verdict = _verdict(plan, speaking)
    return MonitorRun(
        model=plan.contract.name,
        monitor=Monitor.PERFORMANCE,
        as_of=plan.as_of,
        recorded_at=recorded_at,
        verdict=verdict,
        summary=_summary(plan, speaking, verdict),
    )


def _verdict(plan: Plan, speaking: Sequence[Measurement]) -> Verdict:
    """Return the worst there is; what is merely expected makes no day without labels a good one."""
    verdict = worst(tuple(each.verdict for each in speaking))
    if verdict in {Verdict.WARNING, Verdict.ALARM}:
        return verdict
    whole = [each for each in speaking if each.window_end == plan.newest + ONE_DAY and _is_whole(each)]
    return worst(tuple(each.verdict for each in whole if Metric(each.metric) in plan.metrics))


def _is_whole(measured: Measurement) -> bool:
    named = {each.value for each in Metric}
    return measured.metric in named and (measured.version, measured.variant, measured.slice) == (None,) * 3


def _due(settings: Settings, plan: Plan, days: Days, joined: Sequence[LabelledDay]) -> list[datetime]:
    """Return the days to measure: changed ones, those not measured yet, and always the newest."""
    oldest = plan.newest - plan.rules.alert_on.trailing - WEEK
    changed = {state.start for state in joined}
    known = {midnight(day) for day in LabelledStore(settings, plan.contract.name).days()}
    due = {
        day for day in known if oldest <= day < plan.newest and (day in changed or day not in days.versions)
    }
    return sorted(due | {plan.newest})


def _judge(
    settings: Settings, plan: Plan, baselines: Baselines, days: Days, figures: dict[Window, list[Figure]]
) -> list[Measurement]:
    [today, *_] = figures
    kept, new = baselines.of(main_version(figures[today]), days, today.end)
    said = judged(plan, days, figures, kept)
    return [*new, *measurements_of(plan, said), *_causes(settings, plan, said)]


def _causes(settings: Settings, plan: Plan, said: list[tuple[Compared, Outcome]]) -> list[Measurement]:
    """Return what explains the clearest of the newest day's declines; reading all inputs takes its time."""
    worse = [
        each
        for each, outcome in said
        if outcome is Outcome.WORSE and each.key[0] is None and each.window.end > plan.newest
    ]
    clearest = max(worse, key=lambda each: each.degradation.estimate.z, default=None)
    return [] if clearest is None else [_cause(settings, plan, clearest)]


def _cause(settings: Settings, plan: Plan, compared: Compared) -> Measurement:
    metric, window, against = compared.key[1], compared.window, compared.against
    spans = ((against.start, against.end), (window.start, window.end))
    found = why_worse(settings, plan.contract, metric, spans, plan.as_of)
    parts = {"explained": found.explained, "unexplained": found.unexplained}
    told = {
        name: {"value": part.value, "low": part.interval().low, "high": part.interval().high}
        for name, part in parts.items()
        if part is not None
    }
    return plan.measurement(
        window,
        subject=metric.value,
        metric=CAUSE,
        value=found.decline,
        n=compared.rows,
        verdict=Verdict.OK,
        reason=found.cause,
        details=told
        | {
            "effective_rows": found.effective_rows,
            "comparison": compared.comparison.value,
            "against": [against.start.isoformat(), against.end.isoformat()],
        },
    )


def _expect(settings: Settings, plan: Plan, past: Past, days: Days) -> list[Measurement]:
    """Return what days without labels are expected to bring, and how expectations did."""
    metrics = expectable(plan.contract, plan.metrics)
    if not metrics:
        return []
    newest = plan.newest
    first, last = newest + ONE_DAY, midnight_of(plan.as_of)
    stored = {
        metric: stored_expectations(past, metric, newest - _SERIES_DAYS * ONE_DAY, last) for metric in metrics
    }
    records = {metric: record_of(metric, stored[metric], days) for metric in metrics}
    calibrate = learnt_calibrator(settings, plan.contract, first, plan.as_of)
    made = [
        each
        for day in days_between(first, last)
        for each in expectations(settings, plan.contract, metrics, day, calibrate)
    ]
    return [
        *(_record_measurement(plan, record) for record in records.values()),
        *(_expected_measurement(plan, days, each, records[each.metric]) for each in made),
    ]


def _record_measurement(plan: Plan, record: Record) -> Measurement:
    verdict, reason = _TRUSTED[record.trust]
    right = sum(each.was_right for each in record.scored)
    return plan.measurement(
        Window(plan.newest, plan.newest + ONE_DAY),
        subject=record.metric.value,
        metric=TRUST,
        value=right / len(record.scored) if record.scored else None,
        n=len(record.scored),
        verdict=verdict,
        reason=reason,
        details={"scored": [[each.expected, each.realised] for each in record.scored]},
    )


def _expected_measurement(plan: Plan, days: Days, expected: Expectation, record: Record) -> Measurement:
    estimate = expected.estimate
    interval = estimate.interval() if estimate else None
    verdict, reason = (Verdict.TOO_FEW, PerformanceReason.TOO_FEW_PREDICTIONS)
    if estimate is not None:
        verdict, reason = _TRUSTED[record.trust]
        verdict = Verdict.OK
        if record.trust is Trust.TRUSTED and _is_worse(plan, days, expected):
            verdict, reason = Verdict.WARNING, PerformanceReason.WORSE
    return plan.measurement(
        Window(expected.start, expected.start + ONE_DAY),
        subject=SCORE,
        metric=expected_name(expected.metric),
        value=estimate.value if estimate else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n=expected.rows,
        verdict=verdict if expected.rows else Verdict.NO_DATA,
        reason=reason if expected.rows else PerformanceReason.NO_PREDICTIONS,
    )


def _is_worse(plan: Plan, days: Days, expected: Expectation) -> bool:
    key, span = (None, expected.metric), plan.rules.alert_on.trailing
    before = trailing(days, key, plan.newest + ONE_DAY, span, plan.overlap)
    if before is None or expected.estimate is None:
        return False
    fall: Degradation = degradation(expected.metric, expected.estimate, before)
    return outcomes({key: fall}, plan.rules.alert_on.ratio)[key] is Outcome.WORSE


def _summary(plan: Plan, speaking: Sequence[Measurement], verdict: Verdict) -> str:
    day = f"{plan.newest:%Y-%m-%d}"
    if not verdict.is_judgement:
        return f"{day}: {'no predictions' if verdict is Verdict.NO_DATA else 'too few labels to judge'}"
    worse = [each for each in speaking if each.reason == PerformanceReason.WORSE and each.value is not None]
    whole = [each for each in worse if each.slice is None]
    if not worse:
        return f"{day}: not shown to be worse"
    told = [f"{metric} {fall:.1%}" for metric, fall in largest_falls(whole).items()]
    parts = {each.slice for each in worse if each.slice is not None}
    told += [f"{len(parts)} slice{'s' if len(parts) > 1 else ''}"] if parts else []
    return f"{day}: worse by {', '.join(told)}"


def largest_falls(worse: Sequence[Measurement]) -> dict[str, float]:
    """Return by what part each metric fell, the largest of its comparisons, the worst metric first."""
    falls: dict[str, float] = {}
    for each in sorted(worse, key=lambda each: -(each.value or 0.0)):
        falls.setdefault(each.subject, each.value or 0.0)
    return falls
