"""What a look at a model's objectives found: measurements, and an alert where the budget burns."""

from collections.abc import Mapping
from datetime import datetime

from include.contracts.alerts import AlertContent, AlertKind, Severity
from include.contracts.measurements import Measurement, Monitor, Verdict
from include.contracts.model import ModelContract
from include.contracts.moments import format_duration
from include.contracts.objectives import PERIOD, BurnReason, Objective
from include.monitoring.served_requests import Span
from include.stats.burn_rates import Burn

BAD_RATIO = "bad_ratio"
"""Metric of a span: bad requests among all. The sums of these are what is judged."""
BUDGET_LEFT = "budget_left"
"""Metric of a look: the part of the period's error budget that is left."""
_VERDICTS = {
    BurnReason.WITHIN_BUDGET: Verdict.OK,
    BurnReason.BUDGET_SPENT: Verdict.WARNING,
    BurnReason.TOO_FEW_REQUESTS: Verdict.TOO_FEW,
    BurnReason.NO_REQUESTS: Verdict.NO_DATA,
}


def span_measured(model: str, span: Span, objective: Objective) -> Measurement:
    """Return what is stored of a span."""
    requests = span.requests[objective]
    return Measurement(
        model=model,
        monitor=Monitor.OBJECTIVES,
        subject=objective.value,
        metric=BAD_RATIO,
        window_start=span.start,
        window_end=span.end,
        value=requests.bad / requests.total if requests.total else None,
        n=requests.total,
        verdict=Verdict.OK if requests.total else Verdict.NO_DATA,
        reason="counted" if requests.total else BurnReason.NO_REQUESTS.value,
        details=_slowest(span) if objective is Objective.LATENCY else {},
    )


def _slowest(span: Span) -> dict[str, float]:
    return {} if span.latency_p99_ms is None else {"latency_p99_ms": span.latency_p99_ms}


def budget_measured(contract: ModelContract, objective: Objective, burn: Burn, end: datetime) -> Measurement:
    """Return what is stored of a judgement."""
    return Measurement(
        model=contract.name,
        monitor=Monitor.OBJECTIVES,
        subject=objective.value,
        metric=BUDGET_LEFT,
        window_start=end - PERIOD,
        window_end=end,
        value=burn.budget_left,
        n=max(each.requests for each in burn.windows),
        verdict=_verdict(burn),
        reason=burn.reason.value,
        details={"target": objective.target(contract.objectives), "windows": _figures(burn)},
    )


def _verdict(burn: Burn) -> Verdict:
    if burn.worst is None:
        return _VERDICTS[burn.reason]
    return Verdict.WARNING if burn.worst.window.severity is Severity.WARNING else Verdict.ALARM


def told(burn: Burn) -> str:
    """Return a judgement in words."""
    fast = burn.worst
    said = (
        f"spent {fast.long_rate:.1f} times too fast over {format_duration(fast.window.long)}"
        if fast
        else burn.reason.value.replace("_", " ")
    )
    return said if burn.budget_left is None else f"{said}, {burn.budget_left:.0%} left"


def _figures(burn: Burn) -> Mapping[str, Mapping[str, object]]:
    return {
        f"{format_duration(each.window.long)} and {format_duration(each.window.short)}": {
            "limit": each.window.rate,
            "long_burn_rate": each.long_rate,
            "least_long_burn_rate": each.least_long_rate,
            "short_burn_rate": each.short_rate,
            "requests": each.requests,
            "fires": each.fires,
        }
        for each in burn.windows
    }


def burn_alert(contract: ModelContract, objective: Objective, burn: Burn) -> AlertContent:
    """Return what is raised where the budget burns, and resolved where it does not."""
    fast = burn.worst
    return AlertContent(
        kind=AlertKind.OBJECTIVE_BURN,
        subject=f"objective:{objective.value}",
        model=contract.name,
        severity=fast.window.severity if fast else Severity.INFO,
        message=f"error budget of {objective.value}: {told(burn)}",
        figures={"target": objective.target(contract.objectives), "windows": _figures(burn)},
        page=f"/dags/{contract.name}_objectives",
    )
