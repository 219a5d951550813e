"""Retrain requests: asked for by many, claimed by one run."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Select, select, update

from include.adapters.ledger.chain import StoredEvent, Transaction
from include.adapters.ledger.journal import Journal
from include.adapters.ledger.tables import events, retrain_requests
from include.contracts.events import EventKind
from include.contracts.retraining import RetrainReason, RetrainRequest, Training

_Query = Select[tuple[object, ...]]


@dataclass(frozen=True)
class _Wish:
    """What is asked for."""

    reason: RetrainReason
    as_of: datetime
    why: str | None = None
    figures: dict[str, Any] = field(default_factory=dict)


def _any(_: RetrainRequest) -> bool:
    return True


class RetrainLedger(Journal):
    """Reads and writes retrain requests."""

    def request_retrain(
        self,
        model: str,
        reason: RetrainReason,
        as_of: datetime,
        actor: str,
        *,
        why: str | None = None,
        figures: Mapping[str, Any] | None = None,
    ) -> RetrainRequest:
        """Ask for a training; a reason asked again by the same person is one request, of the later moment.

        Args:
            model: the model.
            reason: what kind of reason.
            as_of: event time the training is to look back from.
            actor: who asks.
            why: the reason in one line.
            figures: what it rests on, plain JSON.
        """
        wish = _Wish(reason, as_of, why, dict(figures or {}))
        with self._writing() as transaction:
            waiting = _read(transaction.connection, _unclaimed(model))
            return _ask(transaction, waiting, model, wish, actor)

    def retrain_requests(self, model: str) -> tuple[RetrainRequest, ...]:
        """Return a model's requests nobody has claimed, oldest first."""
        with self._reading() as connection:
            return _read(connection, _unclaimed(model))

    def claim_retrain(
        self,
        model: str,
        run_id: str,
        actor: str,
        wishes: Iterable[tuple[RetrainReason, datetime]] = (),
        takes: Callable[[RetrainRequest], bool] = _any,
    ) -> tuple[RetrainRequest, ...]:
        """Claim a model's waiting requests for one run, and what it wishes for itself.

        A run that asks again gets the same. While another run holds a claim there is nothing to get: two
        runs at once make one training.

        Args:
            model: the model.
            run_id: the claimant.
            actor: who runs it.
            wishes: reason and moment of requests the run brings along; they are written and claimed at once.
            takes: which of the waiting requests the run answers; all unless told otherwise.
        """
        with self._writing() as transaction:
            mine = _read(transaction.connection, _held(run_id))
            if mine or _read(transaction.connection, _open(model)):
                return mine
            waiting = [item for item in _read(transaction.connection, _unclaimed(model)) if takes(item)]
            taken = {item.request_id: item for item in waiting}
            for reason, as_of in wishes:
                wished = _ask(transaction, waiting, model, _Wish(reason, as_of), actor)
                taken[wished.request_id] = wished
            for request in taken.values():
                changes = {"claimed_by": run_id, "claimed_at": transaction.now, "outcome": None}
                _change(transaction, request, changes, EventKind.RETRAIN_CLAIMED, actor)
            return _read(transaction.connection, _held(run_id))

    def held_requests(self, run_id: str) -> tuple[RetrainRequest, ...]:
        """Return the requests a run has claimed and not ended."""
        with self._reading() as connection:
            return _read(connection, _held(run_id))

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

    def training_of(self, model: str, run_id: str) -> tuple[Training, datetime] | None:
        """Return what a run trained and when that was recorded; None where it reached no verdict."""
        with self._reading() as connection:
            told = _trainings(connection, model)
            return next((found for found in told if found[0].run_id == run_id), None)

    def last_regular_training(self, model: str) -> Training | None:
        """Return a model's last training by its contract alone, without overrides; None before the first."""
        with self._reading() as connection:
            for training, _ in _trainings(connection, model):
                if not training.hyperparameters and training.seed is None:
                    return training
        return None

    def end_retrain(
        self, run_id: str, outcome: str, actor: str, only: Collection[str] | None = None
    ) -> tuple[RetrainRequest, ...]:
        """Close the requests a run had claimed, with what became of them; repeated, it does nothing.

        Args:
            run_id: the claimant.
            outcome: what became of them.
            actor: who runs it.
            only: ids of those to close; all unless given.
        """
        claimed = select(retrain_requests).where(retrain_requests.c.claimed_by == run_id)
        with self._writing() as transaction:
            for request in _read(transaction.connection, _held(run_id)):
                if only is None or request.request_id in only:
                    changes = {"ended_at": transaction.now, "outcome": outcome}
                    _change(transaction, request, changes, EventKind.RETRAIN_ENDED, actor)
            return _read(transaction.connection, claimed)

    def return_retrain(self, run_id: str, why: str, actor: str) -> None:
        """Put back the requests of a run that reached no verdict, for the next; repeated, it does nothing.

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


def _ask(
    transaction: Transaction, waiting: Iterable[RetrainRequest], model: str, wish: _Wish, actor: str
) -> RetrainRequest:
    """Return the request that waits for a person's reason, moved to the later moment, or a new one."""
    for request in waiting:
        if (request.reason, request.requested_by) == (wish.reason, actor):
            if wish.as_of <= request.as_of:
                return request
            changes: dict[str, object] = {"as_of": wish.as_of, "why": wish.why, "figures": wish.figures}
            _change(transaction, request, changes, EventKind.RETRAIN_REQUESTED, actor)
            return request.model_copy(update=changes)
    return _insert(transaction, model, wish, actor)


def _insert(transaction: Transaction, model: str, wish: _Wish, actor: str) -> RetrainRequest:
    new = RetrainRequest(
        request_id=f"retrain-{uuid4().hex}",
        model=model,
        reason=wish.reason,
        as_of=wish.as_of,
        requested_by=actor,
        requested_at=transaction.now,
        why=wish.why,
        figures=wish.figures,
    )
    transaction.connection.execute(
        retrain_requests.insert().values(**{**new.model_dump(), "reason": wish.reason.value})
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
    return next(_trainings(connection, model), None)


def _trainings(connection: Connection, model: str) -> Iterator[tuple[Training, datetime]]:
    """Yield a model's trainings and when each was recorded, the last one first."""
    query = (
        select(events)
        .where(events.c.model == model, events.c.kind == EventKind.MODEL_TRAINED.value)
        .order_by(events.c.sequence.desc())
    )
    with connection.execute(query) as rows:
        for row in rows.mappings():
            event = StoredEvent(**row).parsed()
            yield Training.model_validate(event.payload), event.recorded_at


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
