"""Couriers' notes: what each route was told of each alert. No event tells of them."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from include.adapters.ledger.alert_rows import read_alerts
from include.adapters.ledger.journal import Journal
from include.adapters.ledger.tables import alert_deliveries, alerts
from include.contracts.alerts import Alert
from include.contracts.bulletins import Delivery

_COLUMNS = tuple(field.name for field in fields(Delivery))
_KEY = ("alert_id", "route")


class DeliveryLedger(Journal):
    """Reads what is to be delivered, and writes down what was."""

    def undelivered_alerts(self) -> tuple[Alert, ...]:
        """Return the alerts with a change that not every route was told of, oldest first."""
        changes = (alerts.c.escalated_at, alerts.c.acknowledged_at, alerts.c.resolved_at)
        newer = [alerts.c.delivered_at < change for change in changes]
        query = select(alerts).where(or_(alerts.c.delivered_at.is_(None), *newer))
        with self._reading() as connection:
            return read_alerts(connection, query.order_by(alerts.c.raised_at, alerts.c.alert_id))

    def deliveries(self, alert_ids: Iterable[str]) -> tuple[Delivery, ...]:
        """Return what is noted of some alerts."""
        columns = (alert_deliveries.c[name] for name in _COLUMNS)
        query = select(*columns).where(alert_deliveries.c.alert_id.in_(sorted(set(alert_ids))))
        with self._reading() as connection:
            return tuple(Delivery(**row) for row in connection.execute(query).mappings())

    def note_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Write down how far a route is with some alerts."""
        if not deliveries:
            return
        insert = postgresql_insert if self._engine.dialect.name == "postgresql" else sqlite_insert
        with self._writing() as transaction:
            new = insert(alert_deliveries).values([asdict(each) for each in deliveries])
            changed = {name: new.excluded[name] for name in _COLUMNS if name not in _KEY}
            transaction.connection.execute(new.on_conflict_do_update(index_elements=_KEY, set_=changed))

    def settle_alerts(self, settled: Sequence[Alert]) -> None:
        """Note that every route was told of these alerts as they are given here."""
        with self._writing() as transaction:
            for alert in settled:
                transaction.connection.execute(
                    update(alerts)
                    .where(alerts.c.alert_id == alert.alert_id)
                    .values(delivered_at=alert.changed_at)
                )
