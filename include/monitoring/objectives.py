"""Service objectives: the error budget of a model, and alerts where it is spent too fast."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from include.adapters.ledger.ledger import Ledger
from include.adapters.measurements import MeasurementStore
from include.config.settings import Settings
from include.contracts.events import SYSTEM
from include.contracts.measurements import Measurement, Monitor, MonitorRun, worst
from include.contracts.model import ModelContract
from include.contracts.objectives import BURN_WINDOWS, PERIOD, Objective
from include.monitoring.objective_findings import BAD_RATIO, budget_measured, burn_alert, span_measured, told
from include.monitoring.served_requests import count_requests, gaps, last_span_end
from include.stats.burn_rates import Burn, Requests, judge_burn

KEPT = PERIOD + timedelta(days=5)
"""How long every look is kept; of older days the last look."""
_LONGEST = max(each.long for each in BURN_WINDOWS)


def watch_objectives(
    settings: Settings,
    ledger: Ledger,
    store: MeasurementStore,
    contract: ModelContract,
    *,
    as_of: datetime,
    recorded_at: datetime,
) -> MonitorRun:
    """Count what was served since the last look, judge both objectives, and alert where the budget burns.

    Spans of the last three days that no other look counted, because Airflow was away, are counted now. A look
    at a moment that later ones have passed is recorded and alerts nobody.

    Args:
        settings: says where the prediction log lies.
        ledger: gets the alerts.
        store: has the earlier looks, and gets this one.
        contract: has the objectives.
        as_of: moment looked from, event time.
        recorded_at: wall time.

    Raises:
        DataError: the log is damaged.
    """
    model, end = contract.name, last_span_end(as_of)
    last = store.last_run(model, Monitor.OBJECTIVES)
    known = _others(store, model, end, as_of)
    covered = [(each.window_start, each.window_end) for each in known]
    spans = [
        span
        for start, stop in gaps(covered, end - _LONGEST, end)
        for span in count_requests(settings, contract, start, stop)
    ]
    counted = [span_measured(model, span, objective) for span in spans for objective in Objective]
    burns = {each: _judged(store, contract, each, [*known, *counted], end) for each in Objective}
    looked = [budget_measured(contract, each, burn, end) for each, burn in burns.items()]
    run = MonitorRun(
        model=model,
        monitor=Monitor.OBJECTIVES,
        as_of=as_of,
        recorded_at=recorded_at,
        verdict=worst(tuple(each.verdict for each in looked)),
        summary="; ".join(f"{each.value}: {told(burn)}" for each, burn in burns.items()),
    )
    store.record(run, [*looked, *counted])
    store.thin(model, Monitor.OBJECTIVES, as_of - KEPT)
    if last is None or last.as_of <= as_of:
        for objective, burn in burns.items():
            _tell(ledger, contract, objective, burn)
    return run


def _others(store: MeasurementStore, model: str, end: datetime, as_of: datetime) -> list[Measurement]:
    """Return the spans that other looks counted; a look that is made again counts its own anew."""
    mine = store.run(model, Monitor.OBJECTIVES, as_of)
    own = {(each.window_start, each.subject) for each in store.measured(mine)} if mine else set()
    found = store.measurements(
        model, monitor=Monitor.OBJECTIVES, metric=BAD_RATIO, start=end - _LONGEST, end=end
    )
    return [each for each in found if (each.window_start, each.subject) not in own]


def _judged(
    store: MeasurementStore,
    contract: ModelContract,
    objective: Objective,
    spans: Sequence[Measurement],
    end: datetime,
) -> Burn:
    of_this = [each for each in spans if each.subject == objective.value]
    lengths = {length for each in BURN_WINDOWS for length in (each.long, each.short)}
    seen = {length: _sum(of_this, end - length) for length in lengths}
    earlier = store.pooled(
        contract.name,
        Monitor.OBJECTIVES,
        BAD_RATIO,
        objective.value,
        start=end - PERIOD,
        end=end - _LONGEST,
    )
    period = _sum(of_this, end - _LONGEST) + Requests(earlier.n, round(earlier.weighted))
    return judge_burn(objective.target(contract.objectives), seen, period)


def _sum(spans: Sequence[Measurement], start: datetime) -> Requests:
    return sum((_requests(each) for each in spans if each.window_end > start), Requests(0, 0))


def _requests(span: Measurement) -> Requests:
    return Requests(span.n, round((span.value or 0.0) * span.n))


def _tell(ledger: Ledger, contract: ModelContract, objective: Objective, burn: Burn) -> None:
    content = burn_alert(contract, objective, burn)
    if burn.worst is None:
        ledger.resolve_if_open(content, SYSTEM, told(burn))
    else:
        ledger.raise_alert(content, SYSTEM)
