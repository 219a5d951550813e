"""Retrain requests: asked for by many, claimed by one run."""

from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection, Select, select, update

from include.adapters.ledger.chain import Transaction
from include.adapters.ledger.journal import Journal
from include.adapters.ledger.tables import retrain_requests
from include.contracts.events import EventKind
from include.contracts.retraining import RetrainReason, RetrainRequest

_Query = Select[tuple[object, ...]]


class RetrainLedger(Journal):
    """Reads and writes retrain requests."""

    def request_retrain(
        self, model: str, reason: RetrainReason, as_of: datetime, actor: str
    ) -> RetrainRequest:
        """Ask for a training; the same reason and moment asked again, unclaimed, is one request."""
        with self._writing() as transaction:
            for waiting in _read(transaction.connection, _unclaimed(model)):
                if (waiting.reason, waiting.as_of) == (reason, as_of):
                    return waiting
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

    def retrain_requests(self, model: str) -> tuple[RetrainRequest, ...]:
        """Return a model's requests nobody has claimed, oldest first."""
        with self._reading() as connection:
            return _read(connection, _unclaimed(model))

    def claim_retrain(self, model: str, run_id: str, actor: str) -> tuple[RetrainRequest, ...]:
        """Claim all of a model's waiting requests for one run; the run asking again gets the same.

        Two runs at once: the one gets them all, the other none.
        """
        mine = (
            select(retrain_requests)
            .where(retrain_requests.c.model == model, retrain_requests.c.claimed_by == run_id)
            .order_by(retrain_requests.c.requested_at)
        )
        with self._writing() as transaction:
            for waiting in _read(transaction.connection, _unclaimed(model)):
                changes = {"claimed_by": run_id, "claimed_at": transaction.now}
                _change(transaction, waiting, changes, EventKind.RETRAIN_CLAIMED, actor)
            return _read(transaction.connection, mine)

    def end_retrain(self, run_id: str, outcome: str, actor: str) -> tuple[RetrainRequest, ...]:
        """Close the requests a run had claimed, with what became of them; repeated, it does nothing."""
        claimed = select(retrain_requests).where(retrain_requests.c.claimed_by == run_id)
        with self._writing() as transaction:
            for request in _read(transaction.connection, claimed):
                if request.ended_at is None:
                    changes = {"ended_at": transaction.now, "outcome": outcome}
                    _change(transaction, request, changes, EventKind.RETRAIN_ENDED, actor)
            return _read(transaction.connection, claimed)


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
