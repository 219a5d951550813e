"""Frozen baselines: what a version was worth in its first judged days, kept from then on."""

from datetime import datetime

from include.contracts.measurements import Measurement, Verdict
from include.contracts.model import Metric
from include.contracts.performance import PerformanceReason
from include.monitoring.history import ERROR, Baseline, Days, Key, Past, first_days
from include.monitoring.performance_plan import Plan, Window
from include.stats.degradation import Reference
from include.stats.intervals import Estimate

BASELINE = "baseline"
"""Metric under which a baseline is kept; its subject is the metric it is of."""


class Baselines:
    """Those that earlier runs kept, and those this run makes."""

    def __init__(self, plan: Plan, past: Past) -> None:
        self._plan = plan
        self._kept: dict[str, dict[Key, Baseline]] = {}
        for each in past.measured(BASELINE):
            if each.version is not None:
                key = (each.slice, Metric(each.subject))
                self._kept.setdefault(each.version, {}).setdefault(key, _baseline(each))

    def of(
        self, version: str | None, days: Days, end: datetime
    ) -> tuple[dict[Key, Baseline], list[Measurement]]:
        """Return a version's baselines, and those to store that its days until a moment make."""
        if version is None:
            return {}, []
        kept, new = self._kept.setdefault(version, {}), []
        for key in days.by_key.keys() - kept.keys():
            made = first_days(days, key, version, end, self._plan.overlap)
            if made is not None:
                kept[key] = made
                new.append(_measurement(self._plan, key, version, made))
        return kept, sorted(new, key=lambda each: (each.subject, each.slice or ""))


def _baseline(stored: Measurement) -> Baseline:
    mean = Estimate(stored.value or 0.0, stored.details[ERROR])
    reference = Reference(mean, stored.details["between"], stored.details["days"])
    return Baseline(reference, stored.window_start, stored.window_end, stored.n)


def _measurement(plan: Plan, key: Key, version: str, baseline: Baseline) -> Measurement:
    reference = baseline.reference
    interval = reference.mean.interval()
    return plan.measurement(
        Window(baseline.start, baseline.end),
        version=version,
        slice=key[0],
        subject=key[1].value,
        metric=BASELINE,
        value=reference.mean.value,
        low=interval.low,
        high=interval.high,
        n=baseline.rows,
        verdict=Verdict.OK,
        reason=PerformanceReason.MEASURED,
        details={
            ERROR: reference.mean.standard_error,
            "between": reference.between,
            "days": reference.days,
        },
    )
