"""The alerts' outbox: raised once while open, acknowledged by people, resolved by either."""

from collections.abc import Mapping
from uuid import uuid4

from sqlalchemy import Connection, select, update

from include.adapters.ledger.alert_rows import AlertQuery, read_alerts
from include.adapters.ledger.chain import Transaction
from include.adapters.ledger.journal import Journal
from include.adapters.ledger.tables import alerts
from include.contracts.alerts import Alert, AlertContent
from include.contracts.errors import LedgerError
from include.contracts.events import EventKind


class AlertLedger(Journal):
    """Reads and writes alerts."""

    def raise_alert(self, content: AlertContent, actor: str) -> Alert:
        """Put an alert into the outbox.

        One with the same fingerprint that is still open is returned; where the severity rose, it takes on
        the new content and goes out again.
        """
        with self._writing() as transaction:
            return tell(transaction, content, actor)

    def open_alerts(self, model: str | None = None) -> tuple[Alert, ...]:
        """Return the alerts that are not resolved, oldest first; of one model, or all."""
        query = _open()
        if model is not None:
            query = query.where(alerts.c.model == model)
        with self._reading() as connection:
            return read_alerts(connection, query)

    def acknowledge_alert(self, alert_id: str, actor: str, note: str = "") -> Alert:
        """Record that somebody looks after an alert, and what they say; repeated, it does nothing.

        Raises:
            LedgerError: there is no such alert.
        """
        with self._writing() as transaction:
            alert = _alert(transaction.connection, alert_id)
            if alert.acknowledged_at is not None:
                return alert
            seen = {
                "acknowledged_at": transaction.now,
                "acknowledged_by": actor,
                "acknowledgement": note or None,
            }
            payload = {"note": note} if note else {}
            _append(transaction, EventKind.ALERT_ACKNOWLEDGED, alert, actor, payload)
            return _update(transaction, alert, seen)

    def resolve_alert(self, alert_id: str, actor: str, reason: str) -> Alert:
        """Close an alert; one that is closed stays as it is.

        Raises:
            LedgerError: there is no such alert.
        """
        with self._writing() as transaction:
            return _resolve(transaction, _alert(transaction.connection, alert_id), actor, reason)

    def resolve_if_open(self, content: AlertContent, actor: str, reason: str) -> Alert | None:
        """Close the open alert with a content's fingerprint, if there is one."""
        with self._reading() as connection:
            known = read_alerts(connection, _open(content.fingerprint))
        return self.resolve_alert(known[0].alert_id, actor, reason) if known else None


def tell(transaction: Transaction, content: AlertContent, actor: str) -> Alert:
    """Put an alert into the outbox inside a transaction, as `raise_alert` does."""
    known = read_alerts(transaction.connection, _open(content.fingerprint))
    if not known:
        return _raise(transaction, content, actor)
    if content.severity.rank <= known[0].content.severity.rank:
        return known[0]
    return _escalate(transaction, known[0], content, actor)


def settle(transaction: Transaction, content: AlertContent, actor: str, reason: str) -> None:
    """Close the open alert with a content's fingerprint inside a transaction, if there is one."""
    for alert in read_alerts(transaction.connection, _open(content.fingerprint)):
        _resolve(transaction, alert, actor, reason)


def _open(fingerprint: str | None = None) -> AlertQuery:
    query = select(alerts).where(alerts.c.resolved_at.is_(None)).order_by(alerts.c.raised_at)
    return query if fingerprint is None else query.where(alerts.c.fingerprint == fingerprint)


def _alert(connection: Connection, alert_id: str) -> Alert:
    found = read_alerts(connection, select(alerts).where(alerts.c.alert_id == alert_id))
    if not found:
        raise LedgerError(f"no alert {alert_id!r}")
    return found[0]


def _raise(transaction: Transaction, content: AlertContent, actor: str) -> Alert:
    alert = Alert(alert_id=f"alert-{uuid4().hex}", content=content, raised_at=transaction.now)
    body = content.model_dump(mode="json")
    transaction.connection.execute(
        alerts.insert().values(
            alert_id=alert.alert_id,
            model=content.model,
            kind=content.kind.value,
            severity=content.severity.value,
            fingerprint=content.fingerprint,
            body=body,
            raised_at=alert.raised_at,
        )
    )
    _append(transaction, EventKind.ALERT_RAISED, alert, actor, body)
    return alert


def _resolve(transaction: Transaction, alert: Alert, actor: str, reason: str) -> Alert:
    if alert.resolved_at is not None:
        return alert
    over = {"resolved_at": transaction.now, "resolved_by": actor, "resolution": reason}
    _append(transaction, EventKind.ALERT_RESOLVED, alert, actor, {"reason": reason})
    return _update(transaction, alert, over)


def _escalate(transaction: Transaction, alert: Alert, content: AlertContent, actor: str) -> Alert:
    body = content.model_dump(mode="json")
    worse = {"severity": content.severity.value, "body": body, "escalated_at": transaction.now}
    _update(transaction, alert, worse)
    _append(transaction, EventKind.ALERT_ESCALATED, alert, actor, body)
    return alert.model_copy(update={"content": content, "escalated_at": transaction.now})


def _update(transaction: Transaction, alert: Alert, values: Mapping[str, object]) -> Alert:
    transaction.connection.execute(update(alerts).where(alerts.c.alert_id == alert.alert_id).values(values))
    return alert.model_copy(update=values)


def _append(
    transaction: Transaction, kind: EventKind, alert: Alert, actor: str, payload: Mapping[str, object]
) -> None:
    transaction.append(kind, model=alert.content.model, subject=alert.alert_id, actor=actor, payload=payload)
