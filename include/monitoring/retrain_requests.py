"""The retrain trigger at work: stored daily results in, a request in the ledger out."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from include.adapters.ledger.ledger import Ledger
from include.adapters.measurements import MeasurementStore
from include.contracts.events import SYSTEM, EventKind
from include.contracts.measurements import Measurement
from include.contracts.model import Metric
from include.contracts.performance import Comparison, RetrainDecision
from include.contracts.retraining import RetrainReason
from include.contracts.rules import RetrainTrigger
from include.contracts.watched import watched_metrics
from include.monitoring.history import ONE_DAY, Past, read_days
from include.monitoring.performance_plan import Plan
from include.monitoring.retrain_rule import COOL_DOWN, DayResult, Decision, decide

LOOK_BACK = timedelta(days=90)
"""How far back daily results are read."""


def request_retrain(ledger: Ledger, store: MeasurementStore, plan: Plan) -> Decision:
    """Ask for a training where the contract's trigger says so; asked again for the same day, nothing changes.

    The request names the bad days with their figures; `<model>_train` takes it on, its gates judge what comes
    of it, and a person answers the release.

    Args:
        ledger: takes the request.
        store: what runs measured until now, this one included.
        plan: this run's.
    """
    retrain, model = plan.contract.monitoring.auto_retrain, plan.contract.name
    if retrain is None:
        return Decision(RetrainDecision.NO_TRIGGER)
    decision = decide(
        retrain.trigger,
        day_results(store, plan, retrain.trigger),
        asked_days(ledger, model),
        cool_down=max(COOL_DOWN, plan.wait),
        is_under_way=bool(
            ledger.retrain_requests(model) or ledger.claimants(model) or ledger.open_release_of(model)
        ),
    )
    if decision.decision is RetrainDecision.ASK:
        ledger.request_retrain(
            model,
            RetrainReason.PERFORMANCE,
            plan.as_of,
            SYSTEM,
            why=_why(retrain.trigger, decision.bad_days),
            figures=_figures(retrain.trigger, decision.bad_days),
        )
    return decision


def is_waiting(ledger: Ledger, model: str) -> bool:
    """Say whether a request of the trigger waits to be taken on."""
    waiting = ledger.retrain_requests(model)
    return any((each.reason, each.requested_by) == (RetrainReason.PERFORMANCE, SYSTEM) for each in waiting)


def day_results(store: MeasurementStore, plan: Plan, trigger: RetrainTrigger) -> list[DayResult]:
    """Return how each day until the newest was judged, the worst of what the trigger watches."""
    start, end = plan.newest - LOOK_BACK, plan.newest + ONE_DAY
    watched = {
        metric
        for name, metric in watched_metrics(plan.contract).items()
        if trigger.metric in {None, name, metric.value}
    }
    past = Past(store, plan.contract.name, plan.as_of + timedelta(microseconds=1))
    versions = read_days(past, plan.metrics[:1], start, end).versions
    judged = _judged(past, watched, start, end)
    first = min(judged, default=end)
    return [
        judged_day(day, versions.get(day), list(judged.get(day, {}).values()))
        for number in range(LOOK_BACK // ONE_DAY + 1)
        if (day := start + number * ONE_DAY) >= first
    ]


def asked_days(ledger: Ledger, model: str) -> set[datetime]:
    """Return the days that asked for a training before."""
    return {
        datetime.fromisoformat(event.payload["figures"]["day"])
        for event in ledger.events(model, EventKind.RETRAIN_REQUESTED)
        if event.payload["reason"] == RetrainReason.PERFORMANCE.value
        and "day" in event.payload.get("figures", {})
    }


def _judged(
    past: Past, watched: set[Metric], start: datetime, end: datetime
) -> dict[datetime, dict[tuple[str, str], Measurement]]:
    """Return the comparisons of each day on its own; of several looks the latest counts."""
    found: defaultdict[datetime, dict[tuple[str, str], Measurement]] = defaultdict(dict)
    for comparison in Comparison:
        for each in past.measured(comparison.metric, start=start, end=end):
            is_of_day = each.window_end - each.window_start == ONE_DAY and each.slice is None
            if is_of_day and each.subject in watched:
                found[each.window_start][each.subject, each.metric] = each
    return found


def judged_day(day: datetime, version: str | None, judged: Sequence[Measurement]) -> DayResult:
    """Return the worst decline that chance does not explain; where there is none, the worst there is."""
    falls = [(each.low is not None and each.low > 0.0, each.value or 0.0) for each in judged]
    if not falls:
        return DayResult(day, version)
    is_shown, worst = max(falls)
    return DayResult(day, version, worst, is_shown)


def _why(trigger: RetrainTrigger, days: Sequence[DayResult]) -> str:
    falls = ", ".join(f"{day.start:%Y-%m-%d} {day.degradation:.1%}" for day in days[-trigger.days :])
    return f"{trigger}: {falls}"


def _figures(trigger: RetrainTrigger, days: Sequence[DayResult]) -> dict[str, object]:
    return {
        "day": days[-1].start.isoformat(),
        "trigger": str(trigger),
        "days": [
            {"day": day.start.isoformat(), "version": day.version, "degradation": day.degradation}
            for day in days
        ],
    }
