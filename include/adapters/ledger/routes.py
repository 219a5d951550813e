"""Routes: what serves now, every snapshot there ever was, and what served on a given date."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select

from include.adapters.ledger.approvals import approvals_of_version
from include.adapters.ledger.chain import StoredEvent, Transaction
from include.adapters.ledger.experiment_rows import end_displaced, read_experiment
from include.adapters.ledger.journal import Journal
from include.adapters.ledger.tables import events, route_snapshots, routes, utc_text
from include.contracts.canonical import content_hash
from include.contracts.errors import ConflictError
from include.contracts.events import EventKind, LedgerEvent
from include.contracts.experiments import Experiment
from include.contracts.releases import Approval
from include.contracts.routes import ModelRoute, RouteSnapshot

_HASH_DIGITS = 12
_TRAFFIC = (EventKind.ROUTE_CHANGED, EventKind.MODEL_RETIRED)


@dataclass(frozen=True)
class RouteState:
    """A model's route and its revision; revision 0 and no route before the first."""

    route: ModelRoute | None
    revision: int


@dataclass(frozen=True)
class RouteUpdate:
    """A new route, and the revision of the one it replaces (0: there is none)."""

    route: ModelRoute
    expected_revision: int


@dataclass(frozen=True)
class RouteChange:
    """One change of a model's traffic, as the chain holds it."""

    sequence: int
    recorded_at: datetime
    actor: str
    reason: str | None
    snapshot_id: str
    route: ModelRoute | None
    """None: the model was retired."""


@dataclass(frozen=True)
class Served:
    """What served a model at a moment, and every approval of each of those versions before it."""

    moment: datetime
    change: RouteChange
    route: ModelRoute
    approvals: dict[str, tuple[Approval, ...]]
    """By version."""
    experiment: Experiment | None
    """The one under way then, which had approvers of its own."""


class RouteLedger(Journal):
    """Reads and writes routes."""

    def route(self, model: str) -> ModelRoute | None:
        """Return a model's route; None where it serves nothing."""
        return self.route_state(model).route

    def route_state(self, model: str) -> RouteState:
        """Return a model's route with its revision, read at one moment."""
        with self._reading() as connection:
            return read_route(connection, model)

    def snapshot_id(self) -> str | None:
        """Return the latest snapshot's id; None before the first. Cheap: made to be polled."""
        query = select(route_snapshots.c.snapshot_id).order_by(route_snapshots.c.sequence.desc()).limit(1)
        with self._reading() as connection:
            return connection.execute(query).scalar_one_or_none()

    def route_snapshot(self) -> RouteSnapshot | None:
        """Return the latest snapshot of all routes; None before the first."""
        query = select(route_snapshots.c.snapshot).order_by(route_snapshots.c.sequence.desc()).limit(1)
        with self._reading() as connection:
            document = connection.execute(query).scalar_one_or_none()
        return None if document is None else RouteSnapshot.model_validate(document)

    def past_snapshot(self, snapshot_id: str) -> RouteSnapshot | None:
        """Return a snapshot of any time by its id; None where there never was one."""
        query = select(route_snapshots.c.snapshot).where(route_snapshots.c.snapshot_id == snapshot_id)
        with self._reading() as connection:
            document = connection.execute(query).scalar_one_or_none()
        return None if document is None else RouteSnapshot.model_validate(document)

    def change_route(self, update: RouteUpdate, *, actor: str, reason: str) -> RouteSnapshot:
        """Replace a model's route outside a release, such as for a rollback.

        An experiment whose traffic it takes away ends in the same transaction.

        Raises:
            ConflictError: the route is no longer at the expected revision.
        """
        with self._writing() as transaction:
            end_displaced(transaction, update.route, actor=actor, reason=reason)
            return write_route(transaction, update, actor=actor, reason=reason)

    def route_history(self, model: str) -> tuple[RouteChange, ...]:
        """Return every change of a model's traffic, oldest first, its retirements among them."""
        query = _changes(model, *_TRAFFIC).order_by(events.c.sequence)
        with self._reading() as connection:
            return tuple(_change(event) for event in _parsed(connection, query))

    def served_at(self, model: str, moment: datetime) -> Served | None:
        """Return what served a model at a moment of wall time; None where nothing did."""
        query = (
            _changes(model, *_TRAFFIC)
            .where(events.c.recorded_at <= utc_text(moment))
            .order_by(events.c.sequence.desc())
            .limit(1)
        )
        with self._reading() as connection:
            last = next(iter(_parsed(connection, query)), None)
            change = None if last is None else _change(last)
            if change is None or change.route is None:
                return None
            names = [item.version for item in change.route.versions]
            approvals = {name: approvals_of_version(connection, model, name, moment) for name in names}
            under_way = change.route.change_id
            experiment = None if under_way is None else read_experiment(connection, under_way)
            return Served(moment, change, change.route, approvals, experiment)


def read_route(connection: Connection, model: str) -> RouteState:
    """Return a model's route inside a transaction."""
    row = connection.execute(select(routes).where(routes.c.model == model)).one_or_none()
    return (
        RouteState(None, 0) if row is None else RouteState(ModelRoute.model_validate(row.route), row.revision)
    )


def write_route(
    transaction: Transaction, update: RouteUpdate, *, actor: str, reason: str | None
) -> RouteSnapshot:
    """Replace a route and write the next snapshot and the event, inside a transaction.

    Raises:
        ConflictError: the route is no longer at the expected revision.
    """
    model = update.route.model
    current = read_route(transaction.connection, model)
    if current.revision != update.expected_revision:
        raise ConflictError(
            f"{model}: its route is at revision {current.revision}, not {update.expected_revision}; "
            "somebody changed it meanwhile: look again and decide anew"
        )
    document = update.route.model_dump(mode="json")
    values = {"revision": current.revision + 1, "route": document, "changed_at": transaction.now}
    if current.route is None:
        transaction.connection.execute(routes.insert().values(model=model, **values))
    else:
        transaction.connection.execute(routes.update().where(routes.c.model == model).values(**values))
    retired = read_retired(transaction.connection)
    retired.pop(model, None)  # what is released again serves again
    snapshot = _write_snapshot(transaction, retired)
    transaction.append(
        EventKind.ROUTE_CHANGED,
        model=model,
        subject=snapshot.snapshot_id,
        actor=actor,
        payload={"revision": current.revision + 1, "reason": reason, "route": document},
    )
    return snapshot


def remove_route(transaction: Transaction, model: str, *, actor: str, reason: str) -> RouteSnapshot:
    """Take a model's route away and write the next snapshot, which says why, and the event."""
    transaction.connection.execute(routes.delete().where(routes.c.model == model))
    snapshot = _write_snapshot(transaction, read_retired(transaction.connection) | {model: reason})
    transaction.append(
        EventKind.MODEL_RETIRED,
        model=model,
        subject=snapshot.snapshot_id,
        actor=actor,
        payload={"reason": reason},
    )
    return snapshot


def read_retired(connection: Connection) -> dict[str, str]:
    """Return why each retired model was retired, inside a transaction."""
    query = select(route_snapshots.c.snapshot).order_by(route_snapshots.c.sequence.desc()).limit(1)
    document = connection.execute(query).scalar_one_or_none()
    return {} if document is None else dict(RouteSnapshot.model_validate(document).retired)


def _write_snapshot(transaction: Transaction, retired: dict[str, str]) -> RouteSnapshot:
    connection = transaction.connection
    last = connection.execute(select(func.max(route_snapshots.c.sequence))).scalar_one()
    sequence = (last or 0) + 1
    documents = {row.model: row.route for row in connection.execute(select(routes.c.model, routes.c.route))}
    snapshot = RouteSnapshot.model_validate(
        {
            "snapshot_id": f"{sequence}-{content_hash(documents)[:_HASH_DIGITS]}",
            "routes": documents,
            "retired": retired,
        }
    )
    connection.execute(
        route_snapshots.insert().values(
            sequence=sequence,
            snapshot_id=snapshot.snapshot_id,
            snapshot=snapshot.model_dump(mode="json"),
            recorded_at=transaction.now,
        )
    )
    return snapshot


def _changes(model: str, *kinds: EventKind) -> Select[Any]:
    return select(events).where(events.c.model == model, events.c.kind.in_([kind.value for kind in kinds]))


def _parsed(connection: Connection, query: Select[Any]) -> list[LedgerEvent]:
    return [StoredEvent(**row).parsed() for row in connection.execute(query).mappings()]


def _change(event: LedgerEvent) -> RouteChange:
    retired = event.kind is EventKind.MODEL_RETIRED
    return RouteChange(
        sequence=event.sequence,
        recorded_at=event.recorded_at,
        actor=event.actor,
        reason=event.payload["reason"],
        snapshot_id=event.subject,
        route=None if retired else ModelRoute.model_validate(event.payload["route"]),
    )
