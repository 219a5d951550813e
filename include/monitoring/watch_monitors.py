"""Alerts about monitors: what is silent would alarm nobody, and what cannot judge neither."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime

from include.adapters.ledger.ledger import Ledger
from include.adapters.measurements import MeasurementStore
from include.adapters.monitor_health import monitor_health
from include.config.models import model_folder
from include.config.settings import Settings
from include.contracts.alerts import AlertContent, AlertKind
from include.contracts.errors import ContractError
from include.contracts.events import SYSTEM
from include.contracts.monitor_health import Health, MonitorHealth

_KINDS = {Health.SILENT: AlertKind.MONITOR_SILENT, Health.BROKEN: AlertKind.MONITOR_BROKEN}
_SUBJECT = "monitor:"
_MINUTE = "%Y-%m-%d %H:%M"


def watch_monitors(settings: Settings, now: datetime) -> list[str]:
    """Keep one alert open for each monitor that is silent or broken, and close those of the others.

    A served model whose contract cannot be read has no monitor that runs, and gets one alert for all of them.

    Args:
        settings: says where models, ledger and measurements lie.
        now: wall time.

    Returns:
        What is wrong, a line each.
    """
    with (
        closing(Ledger(settings.ledger_uri)) as ledger,
        closing(MeasurementStore(settings.ledger_uri)) as store,
    ):
        served = ledger.route_snapshot()
        wrong = [
            content
            for model in sorted(served.routes if served else ())
            for content in _wrong(settings, ledger, store, model, now)
        ]
        for content in wrong:
            ledger.raise_alert(content, SYSTEM)
        _close_others(ledger, {content.fingerprint for content in wrong})
    return [content.message for content in wrong]


def _wrong(
    settings: Settings, ledger: Ledger, store: MeasurementStore, model: str, now: datetime
) -> Iterator[AlertContent]:
    try:
        contract = model_folder(settings.model_folders, model).written
    except ContractError as error:
        yield _unreadable(model, error)
        return
    for found in monitor_health(ledger, store, contract, now, replay=settings.replay):
        if found.health in _KINDS:
            yield monitor_alert(model, found)


def monitor_alert(model: str, found: MonitorHealth) -> AlertContent:
    """Return what is said about a monitor that is silent or broken."""
    name = f"{model}_{found.monitor.value}"
    last = f"last looked at {found.last_run_at:{_MINUTE}}" if found.last_run_at else "never looked"
    messages = {
        Health.SILENT: f"{name} {last}, and is to look {found.schedule}",
        Health.BROKEN: f"{name} cannot judge: {found.summary}",
    }
    return AlertContent(
        kind=_KINDS[found.health],
        subject=f"{_SUBJECT}{found.monitor.value}",
        model=model,
        message=messages[found.health],
        figures={
            "schedule": found.schedule,
            "last_run_at": found.last_run_at and found.last_run_at.isoformat(),
            "silent_from": found.silent_from and found.silent_from.isoformat(),
        },
        page=f"/dags/{name}",
    )


def _unreadable(model: str, error: ContractError) -> AlertContent:
    return AlertContent(
        kind=AlertKind.MONITOR_BROKEN,
        subject=f"{_SUBJECT}all",
        model=model,
        message=f"no monitor of {model} runs, though it is served: its contract cannot be read",
        figures={"error": str(error)},
    )


def _close_others(ledger: Ledger, wrong: set[str]) -> None:
    for alert in ledger.open_alerts():
        of_monitor = alert.content.kind in _KINDS.values()
        if of_monitor and alert.content.fingerprint not in wrong:
            ledger.resolve_alert(alert.alert_id, SYSTEM, "it looked again, or is watched no more")
