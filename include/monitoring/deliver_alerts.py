"""Drains the alerts' outbox: every route is told of what changed, and told again where it did not listen."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from include.adapters.ledger.ledger import Ledger
from include.contracts.alerts import Alert, AlertContent, AlertKind
from include.contracts.bulletins import UNANSWERED, Bulletin, Delivery, Target, retry_after
from include.contracts.errors import AlertRouteError
from include.contracts.events import SYSTEM
from include.monitoring.alert_bulletins import Notes, Outbox, Targets, bulletins, due, is_told

FAILING_AFTER = 3
"""Attempts in a row that did not get through, after which a route is said to fail."""

_log = logging.getLogger(__name__)


class AlertRoute(Protocol):
    """A way alerts go out by."""

    @property
    def name(self) -> str:
        """What it is called in the couriers' notes: `slack`."""

    def wants(self, alert: Alert, target: Target) -> bool:
        """Say whether it is to be told of an alert at all."""

    def send(self, bulletin: Bulletin) -> str | None:
        """Tell it; returns what a follow-up can refer to.

        Raises:
            AlertRouteError: it did not take the message, and says why.
        """


@dataclass(frozen=True)
class Delivered:
    """What one drain of the outbox did."""

    sent: Mapping[str, int]
    """Bulletins that got through, by route."""
    failed: Mapping[str, int]
    """Bulletins that did not, by route."""
    waiting: int
    """Alerts with a change that some route still waits for."""


def deliver_alerts(
    ledger: Ledger, routes: Sequence[AlertRoute], targets: Targets, now: datetime
) -> Delivered:
    """Tell every route of what changed since it was last told, a bulletin a group.

    What a route is told is written down before and after: a courier that is killed in between tells it once
    more, marked as repeated. A route that fails is tried again later and later, and holds up no other; where
    it goes on failing there is an alert about the route itself.

    Args:
        ledger: has the outbox.
        routes: the ways that are configured; without one, alerts stay in the ledger and on the page.
        targets: where an alert goes within a route.
        now: wall time.
    """
    pending = ledger.undelivered_alerts()
    outbox = Outbox(pending, ledger.open_alerts(), _notes(ledger, pending))
    sent, failed = {}, {}
    for route in routes:
        mail = list(due(bulletins(route.name, outbox, route.wants, targets), now))
        sent[route.name], failed[route.name] = _tell(ledger, route, mail, now)
    notes = _notes(ledger, pending)
    settled = [alert for alert in pending if _is_settled(alert, routes, notes, targets(alert.content))]
    ledger.settle_alerts(settled)
    _watch_routes(ledger, notes.values(), {route.name for route in routes})
    return Delivered(sent, failed, len(pending) - len(settled))


def _notes(ledger: Ledger, alerts: Sequence[Alert]) -> Notes:
    found = ledger.deliveries(alert.alert_id for alert in alerts)
    return {(note.alert_id, note.route): note for note in found}


def _tell(ledger: Ledger, route: AlertRoute, mail: Sequence[Bulletin], now: datetime) -> tuple[int, int]:
    """Send bulletins by a route; returns how many got through and how many did not."""
    sent = failed = 0
    for bulletin in mail:
        begun = [_begun(item.delivery, now) for item in bulletin.news]
        ledger.note_deliveries(begun)
        try:
            receipt = route.send(bulletin)
        except AlertRouteError as error:
            _log.warning("%s was not told of %s: %s", route.name, bulletin.group, error)
            ledger.note_deliveries([replace(each, error=str(error)) for each in begun])
            failed += 1
        else:
            told = zip(begun, bulletin.news, strict=True)
            ledger.note_deliveries([_told(each, item.alert, receipt) for each, item in told])
            sent += 1
        if failed >= FAILING_AFTER and not sent:
            break  # it is down; the others wait with those that failed
    return sent, failed


def _begun(delivery: Delivery, now: datetime) -> Delivery:
    attempts = delivery.attempts + 1
    return replace(
        delivery,
        attempts=attempts,
        attempted_at=now,
        next_attempt_at=now + retry_after(attempts),
        error=UNANSWERED,
    )


def _told(delivery: Delivery, alert: Alert, receipt: str | None) -> Delivery:
    return replace(
        delivery,
        told_at=alert.changed_at,
        receipt=delivery.receipt or receipt,
        attempts=0,
        next_attempt_at=None,
        error=None,
    )


def _is_settled(alert: Alert, routes: Sequence[AlertRoute], notes: Notes, target: Target) -> bool:
    return all(is_told(alert, notes.get((alert.alert_id, each.name)), each.wants, target) for each in routes)


def _watch_routes(ledger: Ledger, notes: Iterable[Delivery], configured: Collection[str]) -> None:
    """Keep one alert open for each configured route that fails, and close those of the others."""
    failing: dict[str, list[Delivery]] = {}
    for note in notes:
        if note.route in configured and note.attempts >= FAILING_AFTER:
            failing.setdefault(note.route, []).append(note)
    for route, waiting in failing.items():
        ledger.raise_alert(_route_alert(route, waiting), SYSTEM)
    wrong = {_subject(route) for route in failing}
    for alert in ledger.open_alerts():
        if alert.content.kind is AlertKind.ALERT_ROUTE_FAILING and alert.content.subject not in wrong:
            ledger.resolve_alert(alert.alert_id, SYSTEM, "it takes messages again, or is configured no more")


def _route_alert(route: str, waiting: Sequence[Delivery]) -> AlertContent:
    worst = max(waiting, key=lambda note: note.attempts)
    return AlertContent(
        kind=AlertKind.ALERT_ROUTE_FAILING,
        subject=_subject(route),
        message=f"{route} did not take a message {worst.attempts} times in a row: {worst.error}",
        figures={"attempts": worst.attempts, "waiting": len(waiting), "error": worst.error},
        page="/dags/alerts_deliver",
    )


def _subject(route: str) -> str:
    return f"route:{route}"
