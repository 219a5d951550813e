"""The alerts' outbox: raised once while open, acknowledged by people, resolved by either."""

from uuid import uuid4

from sqlalchemy import Connection, RowMapping, Select, select, update

from include.adapters.ledger.chain import Transaction
from include.adapters.ledger.journal import Journal
from include.adapters.ledger.tables import alerts
from include.contracts.alerts import Alert, AlertContent
from include.contracts.errors import LedgerError
from include.contracts.events import EventKind

_Query = Select[tuple[object, ...]]


class AlertLedger(Journal):
    """Reads and writes alerts."""

    def raise_alert(self, content: AlertContent, actor: str) -> Alert:
        """Put an alert into the outbox; one with the same fingerprint that is still open is returned."""
        with self._writing() as transaction:
            known = _read(transaction.connection, _open(content.fingerprint))
            if known:
                return known[0]
            alert = Alert(alert_id=f"alert-{uuid4().hex}", content=content, raised_at=transaction.now)
            transaction.connection.execute(
                alerts.insert().values(
                    alert_id=alert.alert_id,
                    model=content.model,
                    kind=content.kind,
                    severity=content.severity.value,
                    fingerprint=content.fingerprint,
                    body=content.model_dump(mode="json"),
                    raised_at=alert.raised_at,
                )
            )
            _append(transaction, EventKind.ALERT_RAISED, alert, actor, content.model_dump(mode="json"))
            return alert

    def open_alerts(self, model: str | None = None) -> tuple[Alert, ...]:
        """Return the alerts that are not resolved, oldest first; of one model, or all."""
        query = _open()
        if model is not None:
            query = query.where(alerts.c.model == model)
        with self._reading() as connection:
            return _read(connection, query)

    def acknowledge_alert(self, alert_id: str, actor: str) -> Alert:
        """Record that somebody looks after an alert; repeated, it does nothing.

        Raises:
            LedgerError: there is no such alert.
        """
        with self._writing() as transaction:
            alert = _alert(transaction.connection, alert_id)
            if alert.acknowledged_at is not None:
                return alert
            return _change(transaction, alert, "acknowledged_at", EventKind.ALERT_ACKNOWLEDGED, actor)

    def resolve_alert(self, alert_id: str, actor: str, reason: str) -> Alert:
        """Close an alert; one that is closed stays as it is.

        Raises:
            LedgerError: there is no such alert.
        """
        with self._writing() as transaction:
            alert = _alert(transaction.connection, alert_id)
            if alert.resolved_at is not None:
                return alert
            return _change(transaction, alert, "resolved_at", EventKind.ALERT_RESOLVED, actor, reason=reason)

    def resolve_if_open(self, content: AlertContent, actor: str, reason: str) -> Alert | None:
        """Close the open alert with a content's fingerprint, if there is one."""
        with self._reading() as connection:
            known = _read(connection, _open(content.fingerprint))
        return self.resolve_alert(known[0].alert_id, actor, reason) if known else None


def _open(fingerprint: str | None = None) -> _Query:
    query = select(alerts).where(alerts.c.resolved_at.is_(None)).order_by(alerts.c.raised_at)
    return query if fingerprint is None else query.where(alerts.c.fingerprint == fingerprint)


def _alert(connection: Connection, alert_id: str) -> Alert:
    found = _read(connection, select(alerts).where(alerts.c.alert_id == alert_id))
    if not found:
        raise LedgerError(f"no alert {alert_id!r}")
    return found[0]


def _read(connection: Connection, query: _Query) -> tuple[Alert, ...]:
    return tuple(_parsed(row) for row in connection.execute(query).mappings())


def _parsed(row: RowMapping) -> Alert:
    moments = ("alert_id", "raised_at", "delivered_at", "acknowledged_at", "resolved_at")
    return Alert.model_validate({"content": row["body"], **{name: row[name] for name in moments}})


def _change(
    transaction: Transaction, alert: Alert, column: str, kind: EventKind, actor: str, *, reason: str = ""
) -> Alert:
    transaction.connection.execute(
        update(alerts).where(alerts.c.alert_id == alert.alert_id).values({column: transaction.now})
    )
    _append(transaction, kind, alert, actor, {"reason": reason} if reason else {})
    return alert.model_copy(update={column: transaction.now})


def _append(
    transaction: Transaction, kind: EventKind, alert: Alert, actor: str, payload: dict[str, object]
) -> None:
    transaction.append(kind, model=alert.content.model, subject=alert.alert_id, actor=actor, payload=payload)
