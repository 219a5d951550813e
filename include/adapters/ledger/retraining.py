"""Retrain requests: asked for by many, claimed by one run."""

from collections.abc import Iterable
from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection, Select, select, update

from include.adapters.ledger.chain import StoredEvent, Transaction
from include.adapters.ledger.journal import Journal
from include.adapters.ledger.tables import events, retrain_requests
from include.contracts.events import EventKind
from include.contracts.retraining import RetrainReason, RetrainRequest, Training

_Query = Select[tuple[object, ...]]


class RetrainLedger(Journal):
    """Reads and writes retrain requests."""

    def request_retrain(
        self, model: str, reason: RetrainReason, as_of: datetime, actor: str
    ) -> RetrainRequest:
        """Ask for a training; reason and moment asked again by the same person, unclaimed, is one request."""
        with self._writing() as transaction:
            for waiting in _read(transaction.connection, _unclaimed(model)):
                if (waiting.reason, waiting.as_of, waiting.requested_by) == (reason, as_of, actor):
                    return waiting
            return _insert(transaction, model, reason, as_of, actor)

    def retrain_requests(self, model: str) -> tuple[RetrainRequest, ...]:
        """Return a model's requests nobody has claimed, oldest first."""
        with self._reading() as connection:
            return _read(connection, _unclaimed(model))

    def claim_retrain(
        self, model: str, run_id: str, actor: str, wishes: Iterable[tuple[RetrainReason, datetime]] = ()
    ) -> tuple[RetrainRequest, ...]:
        """Claim all of a model's waiting requests for one run, and what it wishes for itself.

        A run that asks again gets the same. While another run holds a claim there is nothing to get: two
        runs at once make one training.

        Args:
            model: the model.
            run_id: the claimant.
            actor: who runs it.
            wishes: reason and moment of requests the run brings along; they are written and claimed at once.
        """
        with self._writing() as transaction:
            mine = _read(transaction.connection, _held(run_id))
            if mine or _read(transaction.connection, _open(model)):
                return mine
            waiting = _read(transaction.connection, _unclaimed(model))
            known = {(request.reason, request.as_of, request.requested_by) for request in waiting}
            new = [
                _insert(transaction, model, *wish, actor) for wish in wishes if (*wish, actor) not in known
            ]
            for request in (*waiting, *new):
                changes = {"claimed_by": run_id, "claimed_at": transaction.now, "outcome": None}
                _change(transaction, request, changes, EventKind.RETRAIN_CLAIMED, actor)
            return _read(transaction.connection, _held(run_id))

    def claimants(self, model: str) -> tuple[str, ...]:
        """Return the runs that hold a claim and have not ended it."""
        with self._reading() as connection:
            held = _read(connection, _open(model))
        return tuple(dict.fromkeys(str(request.claimed_by) for request in held))

    def record_training(self, training: Training, actor: str) -> None:
        """Record a training that reached a verdict; told again, nothing changes."""
        with self._writing() as transaction:
            last = _last_training(transaction.connection, training.model)
            if last is None or last[0] != training:
                transaction.append(
                    EventKind.MODEL_TRAINED,
                    model=training.model,
                    subject=training.candidate_uri,
                    actor=actor,
                    payload=training.model_dump(mode="json"),
                )

    def last_training(self, model: str) -> tuple[Training, datetime] | None:
        """Return a model's last training and when it was recorded, in wall time; None before the first."""
        with self._reading() as connection:
            return _last_training(connection, model)

    def end_retrain(self, run_id: str, outcome: str, actor: str) -> tuple[RetrainRequest, ...]:
        """Close the requests a run had claimed, with what became of them; repeated, it does nothing."""
        claimed = select(retrain_requests).where(retrain_requests.c.claimed_by == run_id)
        with self._writing() as transaction:
            for request in _read(transaction.connection, _held(run_id)):
                changes = {"ended_at": transaction.now, "outcome": outcome}
                _change(transaction, request, changes, EventKind.RETRAIN_ENDED, actor)
            return _read(transaction.connection, claimed)

    def return_retrain(self, run_id: str, why: str, actor: str) -> None:
        """Put back the requests of a run that reached no verdict, for the next run; repeated, it does nothing.

        What a person asked for by the run itself is over with it: they see that it failed, and may ask again.
        """
        with self._writing() as transaction:
            for request in _read(transaction.connection, _held(run_id)):
                if request.reason is RetrainReason.MANUAL:
                    changes: dict[str, object] = {"ended_at": transaction.now, "outcome": why}
                    _change(transaction, request, changes, EventKind.RETRAIN_ENDED, actor)
                else:
                    changes = {"claimed_by": None, "claimed_at": None, "outcome": why}
                    _change(transaction, request, changes, EventKind.RETRAIN_RETURNED, actor)


def _insert(
    transaction: Transaction, model: str, reason: RetrainReason, as_of: datetime, actor: str
) -> RetrainRequest:
    new = RetrainRequest(
        request_id=f"retrain-{uuid4().hex}",
        model=model,
        reason=reason,
        as_of=as_of,
        requested_by=actor,
        requested_at=transaction.now,
    )
    transaction.connection.execute(
        retrain_requests.insert().values(**{**new.model_dump(), "reason": reason.value})
    )
    _append(transaction, EventKind.RETRAIN_REQUESTED, new, actor)
    return new


def _open(model: str) -> _Query:
    """Select a model's requests that some run has claimed and not ended."""
    return (
        select(retrain_requests)
        .where(retrain_requests.c.model == model)
        .where(retrain_requests.c.claimed_at.is_not(None), retrain_requests.c.ended_at.is_(None))
        .order_by(retrain_requests.c.requested_at)
    )


def _held(run_id: str) -> _Query:
    """Select the requests that a run has claimed and not ended."""
    return (
        select(retrain_requests)
        .where(retrain_requests.c.claimed_by == run_id, retrain_requests.c.ended_at.is_(None))
        .order_by(retrain_requests.c.requested_at)
    )


def _last_training(connection: Connection, model: str) -> tuple[Training, datetime] | None:
    query = (
        select(events)
        .where(events.c.model == model, events.c.kind == EventKind.MODEL_TRAINED.value)
        .order_by(events.c.sequence.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    event = StoredEvent(**row).parsed()
    return Training.model_validate(event.payload), event.recorded_at


def _unclaimed(model: str) -> _Query:
    return (
        select(retrain_requests)
        .where(retrain_requests.c.model == model, retrain_requests.c.claimed_at.is_(None))
        .order_by(retrain_requests.c.requested_at)
    )


def _read(connection: Connection, query: _Query) -> tuple[RetrainRequest, ...]:
    return tuple(RetrainRequest.model_validate(dict(row)) for row in connection.execute(query).mappings())


def _change(
    transaction: Transaction,
    request: RetrainRequest,
    changes: dict[str, object],
    kind: EventKind,
    actor: str,
) -> None:
    transaction.connection.execute(
        update(retrain_requests).where(retrain_requests.c.request_id == request.request_id).values(**changes)
    )
    _append(transaction, kind, request.model_copy(update=changes), actor)


def _append(transaction: Transaction, kind: EventKind, request: RetrainRequest, actor: str) -> None:
    transaction.append(
        kind,
        model=request.model,
        subject=request.request_id,
        actor=actor,
        payload=request.model_dump(mode="json"),
    )
