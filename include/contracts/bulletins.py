"""What routes are told of alerts: one bulletin for each group, with what changed since the last one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from include.contracts.alerts import Alert, AlertKind, Severity

FIRST_RETRY = timedelta(minutes=1)
LAST_RETRY = timedelta(hours=1)
RUNBOOKS = "/ninety/runbooks"
"""Path of the runbooks among the operator's pages."""
UNANSWERED = "the attempt ended without an answer"
"""Stands as the error of an attempt from its beginning on: a courier that is killed leaves it there."""


class Change(StrEnum):
    """What happened to an alert since its route was last told."""

    RAISED = "raised"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    PASSED = "passed"
    """Raised and resolved, both since then."""


@dataclass(frozen=True)
class Delivery:
    """How far a route is with an alert."""

    alert_id: str
    route: str
    told_at: datetime | None = None
    """The alert's last change that got through."""
    receipt: str | None = None
    """What the route answered when it was first told; a follow-up refers to it."""
    attempts: int = 0
    """Attempts in a row that did not get through."""
    attempted_at: datetime | None = None
    next_attempt_at: datetime | None = None
    error: str | None = None
    """Why the last attempt did not get through."""

    @property
    def is_unanswered(self) -> bool:
        """Whether nobody knows if the last attempt got through."""
        return self.error == UNANSWERED


@dataclass(frozen=True)
class News:
    """An alert a route is to be told of."""

    alert: Alert
    change: Change
    delivery: Delivery


@dataclass(frozen=True)
class Target:
    """Where a group's bulletins go, as the contract says."""

    slack_channel: str | None = None
    """None: the connection's own."""
    pagerduty_severity: Severity | None = None
    """None: that of the alert, and pages only from `error` upwards."""


@dataclass(frozen=True)
class Sites:
    """Where the links of a message lead."""

    airflow: str
    """Base URL of Airflow, as people reach it."""

    def page(self, alert: Alert) -> str | None:
        """Return the address of an alert's page."""
        return self.airflow.rstrip("/") + alert.content.page if alert.content.page else None

    def runbook(self, kind: AlertKind) -> str:
        """Return the address of the page that says what to do."""
        return f"{self.airflow.rstrip('/')}{RUNBOOKS}/{kind.value}"


@dataclass(frozen=True)
class Bulletin:
    """All that is new about one kind of trouble of one model."""

    group: str
    kind: AlertKind
    model: str | None
    news: tuple[News, ...]
    """Worst first."""
    still_open: tuple[Alert, ...]
    """Every alert of the group that is open now, worst first; news or not."""
    target: Target

    @property
    def is_repeated(self) -> bool:
        """Whether the route may have been told already."""
        return any(item.delivery.is_unanswered for item in self.news)

    @property
    def is_worse(self) -> bool:
        """Whether there is new trouble, not only the end of an old one."""
        return any(item.change in {Change.RAISED, Change.ESCALATED} for item in self.news)


def change_since(alert: Alert, told_at: datetime | None) -> Change | None:
    """Return what happened to an alert since a route was last told of it; None: nothing."""
    if told_at is None:
        return Change.RAISED if alert.resolved_at is None else Change.PASSED
    for moment, change in (
        (alert.resolved_at, Change.RESOLVED),
        (alert.escalated_at, Change.ESCALATED),
        (alert.acknowledged_at, Change.ACKNOWLEDGED),
    ):
        if moment is not None and moment > told_at:
            return change
    return None


def retry_after(attempts: int) -> timedelta:
    """Return how long to wait after so many failed attempts: a minute, then twice as long each time."""
    doublings = min(attempts - 1, 10)
    return min(FIRST_RETRY * (1 << doublings), LAST_RETRY)
