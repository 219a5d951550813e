"""Alerts of the monitors of drift: one for each input or score that shifted, closed when it is as it was."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any

from include.adapters.ledger.ledger import Ledger
from include.adapters.measurements import MeasurementStore
from include.config.settings import Settings
from include.contracts.alerts import AlertContent, AlertKind, Severity
from include.contracts.errors import LedgerError
from include.contracts.events import SYSTEM
from include.contracts.measurements import Measurement, Monitor

KINDS: Mapping[Monitor, AlertKind] = {
    Monitor.FEATURE_DRIFT: AlertKind.FEATURE_DRIFT,
    Monitor.PREDICTION_DRIFT: AlertKind.PREDICTION_DRIFT,
}
_FIGURES = ("effect", "adjusted_p_value", "windows", "since", "importance", "independent_rows")


def announce_run(
    settings: Settings, model: str, monitor: Monitor, as_of: datetime, report_uri: str | None = None
) -> list[str]:
    """Open and close alerts on what the run of a moment found; returns what shifted, a line each.

    Raises:
        LedgerError: there was no such run.
    """
    with closing(MeasurementStore(settings.ledger_uri)) as store:
        run = store.run(model, monitor, as_of)
        if run is None:
            raise LedgerError(f"{model}_{monitor.value} stored nothing as of {as_of.isoformat()}")
        found = store.measured(run)
    with closing(Ledger(settings.ledger_uri)) as ledger:
        return announce(ledger, found, report_uri)


def announce(ledger: Ledger, found: Sequence[Measurement], report_uri: str | None) -> list[str]:
    """Open an alert for each subject that shifted, and close those of the others that could be judged.

    What could not be judged says nothing about an alert that is open: it stays.

    Args:
        ledger: holds the alerts.
        found: what one run measured; at least one.
        report_uri: where its report lies.

    Returns:
        What shifted, a line each.
    """
    model, kind = found[0].model, KINDS[found[0].monitor]
    raised = list(contents(found, report_uri))
    for content in raised:
        ledger.raise_alert(content, SYSTEM)
    shifted = {content.subject for content in raised}
    judged = {subject_of(each) for each in found if each.verdict.is_judgement}
    measured = {subject_of(each) for each in found}
    for alert in ledger.open_alerts(model):
        subject = alert.content.subject
        # An input the model no longer reads is measured no more.
        over = subject in judged - shifted or (bool(judged) and subject not in measured)
        if alert.content.kind is kind and over:
            ledger.resolve_alert(alert.alert_id, SYSTEM, "a later window shows no drift")
    return [content.message for content in raised]


def contents(found: Sequence[Measurement], report_uri: str | None) -> Iterator[AlertContent]:
    """Yield what is to be said about each subject that shifted."""
    shifted = [each for each in found if "severity" in each.details]
    for subject in dict.fromkeys(map(subject_of, shifted)):
        own = [each for each in shifted if subject_of(each) == subject]
        own.sort(key=lambda each: -Severity(each.details["severity"]).rank)
        yield AlertContent(
            kind=KINDS[own[0].monitor],
            subject=subject,
            model=own[0].model,
            severity=Severity(own[0].details["severity"]),
            message=f"{own[0].model}: {subject} drifted: {', '.join(map(_told, own))}",
            figures={each.metric: _figures(each) for each in own},
            page=f"/dags/{own[0].model}_{own[0].monitor.value}",
            report_uri=report_uri,
        )


def subject_of(measurement: Measurement) -> str:
    """Return what an alert calls a measurement's subject: with its variant, where it is of one."""
    variant = measurement.variant
    return measurement.subject if variant is None else f"{measurement.subject}:{variant}"


def _told(measurement: Measurement) -> str:
    windows = measurement.details["windows"]
    lasted = f", for {windows} windows" if windows > 1 else ""
    return f"{measurement.metric} {measurement.value:.3g} over {measurement.n} rows{lasted}"


def _figures(measurement: Measurement) -> dict[str, Any]:
    kept = {name: measurement.details[name] for name in _FIGURES if name in measurement.details}
    window = {"window_start": measurement.window_start, "window_end": measurement.window_end}
    return {
        "value": measurement.value,
        "rows": measurement.n,
        "reason": measurement.reason,
        **kept,
        **{name: moment.isoformat() for name, moment in window.items()},
    }
