"""The ledger as people look at it: the latest first, a page at a time, by what they filter for."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select

from include.adapters.ledger.alert_rows import read_alerts
from include.adapters.ledger.chain import StoredEvent
from include.adapters.ledger.journal import Journal
from include.adapters.ledger.tables import alerts, approvals, chain_head, events, utc_text
from include.contracts.alerts import Alert
from include.contracts.events import EventKind, LedgerEvent
from include.contracts.releases import Approval


@dataclass(frozen=True)
class EventFilter:
    """Which events are wanted; what is None is not asked for."""

    models: Collection[str] | None = None
    """Of these models; those that are about no model are always there."""
    model: str | None = None
    """Of this model alone."""
    kinds: Collection[EventKind] = ()
    """Of these kinds; none means all."""
    actor: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    """Only events with a smaller sequence number: the next page."""


class HistoryLedger(Journal):
    """Reads what happened; writes nothing."""

    def latest_events(self, wanted: EventFilter, limit: int = 100) -> tuple[LedgerEvent, ...]:
        """Return the events that fit, the latest first, at most `limit` of them."""
        query = _fitting(wanted).order_by(events.c.sequence.desc()).limit(limit)
        with self._reading() as connection:
            return tuple(StoredEvent(**row).parsed() for row in connection.execute(query).mappings())

    def exported_events(self, wanted: EventFilter, after: int, limit: int) -> tuple[StoredEvent, ...]:
        """Return the rows of events that fit, exactly as stored, oldest first: what others can verify."""
        query = _fitting(wanted).where(events.c.sequence > after).order_by(events.c.sequence).limit(limit)
        with self._reading() as connection:
            return tuple(StoredEvent(**row) for row in connection.execute(query).mappings())

    def actors(self) -> tuple[str, ...]:
        """Return everybody who ever did something, in order."""
        query = select(events.c.actor).distinct().order_by(events.c.actor)
        with self._reading() as connection:
            return tuple(connection.execute(query).scalars())

    def head(self) -> tuple[int, str]:
        """Return how many events there are, and the hash of the last."""
        with self._reading() as connection:
            row = connection.execute(select(chain_head.c.count, chain_head.c.hash)).one()
        return row[0], row[1]

    def latest_alerts(
        self, models: Collection[str], limit: int = 200, *, resolved: bool = True
    ) -> tuple[Alert, ...]:
        """Return alerts of some models, and those of none, the latest first.

        Args:
            models: whose.
            limit: most of them.
            resolved: whether those that are over are wanted, or those that are open.
        """
        state = alerts.c.resolved_at.is_not(None) if resolved else alerts.c.resolved_at.is_(None)
        query = (
            select(alerts)
            .where(state, or_(alerts.c.model.in_(list(models)), alerts.c.model.is_(None)))
            .order_by(alerts.c.raised_at.desc())
            .limit(limit)
        )
        with self._reading() as connection:
            return read_alerts(connection, query)

    def alert(self, alert_id: str) -> Alert | None:
        """Return an alert; None where there is none."""
        with self._reading() as connection:
            found = read_alerts(connection, select(alerts).where(alerts.c.alert_id == alert_id))
        return found[0] if found else None

    def open_alert_counts(self) -> dict[str, dict[str, int]]:
        """Return how many alerts are open, by model and severity."""
        query = (
            select(alerts.c.model, alerts.c.severity, func.count().label("alerts"))
            .where(alerts.c.resolved_at.is_(None), alerts.c.model.is_not(None))
            .group_by(alerts.c.model, alerts.c.severity)
        )
        found: dict[str, dict[str, int]] = {}
        with self._reading() as connection:
            for row in connection.execute(query):
                found.setdefault(row.model, {})[row.severity] = row.alerts
        return found

    def answers(self, model: str) -> tuple[Approval, ...]:
        """Return every answer that was ever given to releases of a model, oldest first."""
        query = select(approvals).where(approvals.c.model == model).order_by(approvals.c.sequence)
        with self._reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(
            Approval.model_validate({name: row[name] for name in Approval.model_fields}) for row in rows
        )


def _fitting(wanted: EventFilter) -> Select[Any]:
    query = select(events)
    for condition in _conditions(wanted):
        query = query.where(condition)
    return query


def _conditions(wanted: EventFilter) -> Iterator[Any]:
    if wanted.models is not None:
        yield or_(events.c.model.in_(list(wanted.models)), events.c.model.is_(None))
    if wanted.kinds:
        yield events.c.kind.in_([kind.value for kind in wanted.kinds])
    for column, value in (
        (events.c.model, wanted.model),
        (events.c.actor, wanted.actor),
        (events.c.subject, wanted.subject),
    ):
        if value is not None:
            yield column == value
    if wanted.since is not None:
        yield events.c.recorded_at >= utc_text(wanted.since)
    if wanted.until is not None:
        yield events.c.recorded_at < utc_text(wanted.until)
    if wanted.before is not None:
        yield events.c.sequence < wanted.before
