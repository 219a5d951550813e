"""Alerts: what somebody must look at, what somebody looks after, what is over."""

from collections.abc import Sequence

from pydantic import BaseModel

from include.contracts.alerts import Alert
from include.pages.airflow_facts import STRICT
from include.pages.desk import Desk

RESOLVED = 100


class AlertsPage(BaseModel):
    """Alerts by where they stand; within each the worst first, then the latest."""

    model_config = STRICT

    open: tuple[Alert, ...]
    acknowledged: tuple[Alert, ...]
    resolved: tuple[Alert, ...]
    """The latest first."""


def alerts_page(desk: Desk, models: Sequence[str]) -> AlertsPage:
    """Return the alerts of some models, and those that are about none."""
    waiting = sorted(desk.ledger.latest_alerts(models, resolved=False), key=_urgency)
    return AlertsPage(
        open=tuple(alert for alert in waiting if alert.acknowledged_at is None),
        acknowledged=tuple(alert for alert in waiting if alert.acknowledged_at is not None),
        resolved=desk.ledger.latest_alerts(models, RESOLVED),
    )


def _urgency(alert: Alert) -> tuple[int, float]:
    return -alert.content.severity.rank, -alert.raised_at.timestamp()
