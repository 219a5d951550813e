"""Alerts of `<model>_performance`: one each for the whole, for slices, for labels, for what is expected.

An alert is resolved where the same was judged and found well; where nothing was judged it stays as it is.
"""

from collections.abc import Mapping, Sequence

from include.adapters.ledger.ledger import Ledger
from include.adapters.quarantine import refused_labels
from include.contracts.alerts import AlertContent, AlertKind, Severity
from include.contracts.events import SYSTEM
from include.contracts.measurements import Measurement, MonitorRun
from include.contracts.performance import Cause, Comparison, PerformanceReason
from include.monitoring.history import ONE_DAY
from include.monitoring.measured_days import LABELS
from include.monitoring.performance import CAUSE, TRUST, largest_falls
from include.monitoring.performance_plan import Plan

_COMPARED = frozenset(comparison.metric for comparison in Comparison)
_REMEDY = {
    Cause.DATA: "other inputs explain it: look at the sources, or train on recent data",
    Cause.CONCEPT: "other inputs do not explain it: what the model learned no longer holds",
    Cause.BOTH: "other inputs explain a part of it, and a part they do not",
    Cause.UNLIKE: "inputs are unlike any the model knew: mend those first",
    Cause.UNDECIDED: "too few rows to tell other inputs from a changed relation",
}


def alert_on_performance(
    ledger: Ledger, plan: Plan, run: MonitorRun, measured: Sequence[Measurement]
) -> list[str]:
    """Raise and resolve alerts by what a run found; return the subjects that are wrong."""
    newest = [each for each in measured if each.window_end > plan.newest]
    compared = [each for each in newest if each.metric in _COMPARED]
    found = [
        *_of_whole(plan, [each for each in compared if each.slice is None], newest),
        *_of_slices(plan, [each for each in compared if each.slice is not None], compared),
        *_of_expectations(plan, newest),
        *_of_labels(plan, measured),
    ]
    page = f"/dags/{plan.contract.name}_performance"
    for content, is_wrong in found:
        told = content.model_copy(update={"page": page, "report_uri": run.report_uri})
        if is_wrong:
            ledger.raise_alert(told, SYSTEM)
        else:
            ledger.resolve_if_open(told, SYSTEM, f"well again as of {plan.as_of.isoformat()}")
    return [content.subject for content, is_wrong in found if is_wrong]


_Found = list[tuple[AlertContent, bool]]


def _of_whole(plan: Plan, compared: Sequence[Measurement], newest: Sequence[Measurement]) -> _Found:
    if not compared:
        return []
    worse = _worse(compared)
    causes = [each for each in newest if each.metric == CAUSE]
    message = f"{plan.newest:%Y-%m-%d}: {_falls(worse)}"
    figures: dict[str, object] = {"worse": [_figures(each) for each in worse]}
    if causes:
        message += f"; {_REMEDY[Cause(causes[0].reason)]}"
        figures.update(cause=causes[0].reason, explanation=causes[0].details)
    return [(_content(plan, "whole", Severity.ERROR, message, figures), bool(worse))]


def _of_slices(plan: Plan, parts: Sequence[Measurement], compared: Sequence[Measurement]) -> _Found:
    if not compared:
        return []
    worse = _worse(parts)
    names = ", ".join(sorted({str(each.slice) for each in worse}))
    message = f"{plan.newest:%Y-%m-%d}: in {names}: {_falls(worse)}"
    figures = {"worse": [_figures(each) | {"slice": each.slice} for each in worse]}
    return [(_content(plan, "slices", Severity.WARNING, message, figures), bool(worse))]


def _of_expectations(plan: Plan, newest: Sequence[Measurement]) -> _Found:
    trusts = [each for each in newest if each.metric == TRUST]
    if not trusts:
        return []
    wrong = {each.subject: each.value for each in trusts if each.reason == PerformanceReason.DISTRUSTED}
    message = f"estimates before labels were wrong too often and stand for nothing now: {', '.join(wrong)}"
    expected = [each for each in newest if each.window_end > plan.newest + ONE_DAY]
    worse = {f"{each.window_start:%Y-%m-%d} {each.metric}": each.value for each in _worse(expected)}
    sooner = f"labels are not in yet, and scores promise less: {', '.join(worse)}"
    return [
        (_content(plan, "estimates", Severity.INFO, message, {"right_ratio": wrong}), bool(wrong)),
        (_content(plan, "expected", Severity.WARNING, sooner, worse), bool(worse)),
    ]


def _of_labels(plan: Plan, measured: Sequence[Measurement]) -> _Found:
    refused = [each for each in measured if (each.subject, each.metric) == (LABELS, "refused")]
    if not refused:
        return []
    counts = refused[0].details
    told = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    message = f"labels in quarantine ({refused_labels(plan.contract.name)}): {told}"
    return [(_content(plan, LABELS, Severity.WARNING, message, counts), bool(counts))]


def _worse(found: Sequence[Measurement]) -> list[Measurement]:
    return [each for each in found if each.reason == PerformanceReason.WORSE]


def _falls(worse: Sequence[Measurement]) -> str:
    return ", ".join(f"{metric} worse by {fall:.1%}" for metric, fall in largest_falls(worse).items())


def _figures(worse: Measurement) -> dict[str, object]:
    days = (worse.window_end - worse.window_start) // ONE_DAY
    named = {"metric": worse.subject, "comparison": worse.metric, "days": days, "labels": worse.n}
    return named | {"degradation": worse.value, "low": worse.low, "high": worse.high} | worse.details


def _content(
    plan: Plan, subject: str, severity: Severity, message: str, figures: Mapping[str, object]
) -> AlertContent:
    return AlertContent(
        kind=AlertKind.PERFORMANCE,
        subject=subject,
        model=plan.contract.name,
        severity=severity,
        message=message,
        figures=dict(figures),
    )
