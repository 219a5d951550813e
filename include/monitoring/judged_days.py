"""Days held against the days before them, and against the first days of the version that answers.

The trailing mean is what the contract's rule names. It moves along with a slow slide, and takes bad days in
until they look normal; the version's own first days do neither, so both are asked. A decline counts where it
reaches the rule's ratio against either, and chance does not explain it: all comparisons of a day together are
held to `ALPHA`, those of slices to another.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from include.contracts.measurements import Measurement, Verdict
from include.contracts.model import Metric
from include.contracts.performance import Comparison, PerformanceReason
from include.monitoring.figures import Figure, Group
from include.monitoring.history import Baseline, Days, Key, trailing
from include.monitoring.performance_plan import Plan, Window
from include.stats.degradation import Degradation, Outcome, Reference, degradation, outcomes

_SAYS = {
    Outcome.STEADY: PerformanceReason.STEADY,
    Outcome.NOT_SHOWN: PerformanceReason.NOT_SHOWN,
    Outcome.WORSE: PerformanceReason.WORSE,
}


@dataclass(frozen=True)
class Compared:
    """One figure held against one reference."""

    window: Window
    key: Key
    comparison: Comparison
    rows: int
    degradation: Degradation
    against: Window
    """Days of the reference."""


def judged(
    plan: Plan, days: Days, figures: Mapping[Window, list[Figure]], baselines: Mapping[Key, Baseline]
) -> list[tuple[Compared, Outcome]]:
    """Return every comparison with what it says.

    Args:
        plan: says rule and ratio.
        days: daily figures before, and of, the windows.
        figures: of each window.
        baselines: of the version that answers.
    """
    found = [each for window in figures for each in _compared(plan, days, window, figures[window], baselines)]
    said: list[tuple[Compared, Outcome]] = []
    for is_slice in (False, True):
        family = {place: each for place, each in enumerate(found) if (each.key[0] is not None) == is_slice}
        said += [
            (family[place], outcome)
            for place, outcome in outcomes(
                {place: each.degradation for place, each in family.items()}, plan.rules.alert_on.ratio
            ).items()
        ]
    return said


def measurements_of(plan: Plan, said: list[tuple[Compared, Outcome]]) -> list[Measurement]:
    """Return what is stored of comparisons: all of the whole, of slices those that are worse."""
    return [
        _measurement(plan, compared, outcome)
        for compared, outcome in said
        if compared.key[0] is None or outcome is not Outcome.STEADY
    ]


def _compared(
    plan: Plan, days: Days, window: Window, figures: list[Figure], baselines: Mapping[Key, Baseline]
) -> Iterator[Compared]:
    span = plan.rules.alert_on.trailing
    for each in figures:
        if each.estimate is None or each.group != Group(slice=each.group.slice):
            continue
        key = (each.group.slice, each.metric)
        before = trailing(days, key, window.start, span, plan.overlap)
        references: list[tuple[Comparison, Reference, Window]] = []
        if before is not None:
            references.append((Comparison.TRAILING, before, Window(window.start - span, window.start)))
        first = baselines.get(key)
        if first is not None and first.end <= window.start:
            references.append((Comparison.BASELINE, first.reference, Window(first.start, first.end)))
        for comparison, reference, against in references:
            fall = _degradation(each.metric, each, reference, window.days)
            if fall is not None:
                yield Compared(window, key, comparison, each.rows, fall, against)


def _degradation(metric: Metric, figure: Figure, reference: Reference, days: int) -> Degradation | None:
    if figure.estimate is None:
        return None
    try:
        return degradation(metric, figure.estimate, reference, days)
    except ValueError:  # a reference that cannot be told from 0 has no parts
        return None


def _measurement(plan: Plan, compared: Compared, outcome: Outcome) -> Measurement:
    fall, (part, metric) = compared.degradation, compared.key
    interval = fall.estimate.interval()
    alarm = Verdict.ALARM if part is None else Verdict.WARNING
    return plan.measurement(
        compared.window,
        slice=part,
        subject=metric.value,
        metric=compared.comparison.metric,
        value=fall.estimate.value,
        low=interval.low,
        high=interval.high,
        n=compared.rows,
        verdict=alarm if outcome is Outcome.WORSE else Verdict.OK,
        reason=_SAYS[outcome],
        details={
            "reference": fall.reference,
            "current": fall.current,
            "against": [compared.against.start.isoformat(), compared.against.end.isoformat()],
        },
    )
