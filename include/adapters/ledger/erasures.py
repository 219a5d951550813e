"""Erasures: that rows of an entity were taken away, and which training set stands for which since."""

import json

from sqlalchemy import select

from include.adapters.ledger.journal import Journal
from include.adapters.ledger.tables import events
from include.contracts.erasures import Erasure
from include.contracts.events import EventKind


class ErasureLedger(Journal):
    """Writes and reads erasures; the events are all there is of them."""

    def record_erasure(self, erasure: Erasure, *, actor: str) -> None:
        """Write an erasure down; the same one again changes nothing."""
        with self._writing() as transaction:
            known = select(events.c.sequence).where(
                events.c.kind == EventKind.ENTITY_ERASED.value, events.c.subject == erasure.erasure_id
            )
            if transaction.connection.execute(known).first() is None:
                transaction.append(
                    EventKind.ENTITY_ERASED,
                    model=None,
                    subject=erasure.erasure_id,
                    actor=actor,
                    payload=erasure.model_dump(mode="json"),
                )

    def erasures(self) -> tuple[Erasure, ...]:
        """Return every erasure, oldest first."""
        query = (
            select(events.c.payload)
            .where(events.c.kind == EventKind.ENTITY_ERASED.value)
            .order_by(events.c.sequence)
        )
        with self._reading() as connection:
            found = connection.execute(query).scalars().all()
        return tuple(Erasure.model_validate(json.loads(text)) for text in found)

    def successor_of(self, snapshot_sha256: str) -> str:
        """Return the hash of the training set that stands for one now: itself where none was erased from."""
        current = snapshot_sha256
        for erasure in self.erasures():
            current = erasure.snapshots.get(current, current)
        return current
