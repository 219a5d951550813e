"""The ledger: what happened, filtered; its proof; and its rows for others to verify."""

import json
from collections.abc import Collection, Iterator
from dataclasses import replace

from pydantic import BaseModel

from include.adapters.ledger.history import EventFilter
from include.contracts.errors import ChainError
from include.contracts.events import EventKind, LedgerEvent
from include.pages.airflow_facts import STRICT
from include.pages.desk import Desk

PAGE = 100
_CHUNK = 1_000


class Proof(BaseModel):
    """What a verification of the chain found."""

    model_config = STRICT

    whole: bool
    events: int | None
    problem: str | None


class LedgerPage(BaseModel):
    """A page of events, the latest first."""

    model_config = STRICT

    count: int
    """Events there are."""
    head: str
    """Hash of the last one; keep a copy elsewhere to prove that nobody rewrote them all."""
    models: tuple[str, ...]
    kinds: tuple[EventKind, ...]
    actors: tuple[str, ...]
    events: tuple[LedgerEvent, ...]
    next_before: int | None
    """Where the next page starts; None on the last."""


def ledger_page(desk: Desk, models: Collection[str], wanted: EventFilter) -> LedgerPage:
    """Return the events that fit a filter; those of models outside `models` are never there."""
    found = desk.ledger.latest_events(replace(wanted, models=models), PAGE + 1)
    count, head = desk.ledger.head()
    shown = found[:PAGE]
    return LedgerPage(
        count=count,
        head=head,
        models=tuple(sorted(models)),
        kinds=tuple(EventKind),
        actors=desk.ledger.actors(),
        events=shown,
        next_before=shown[-1].sequence if len(found) > PAGE else None,
    )


def proof(desk: Desk) -> Proof:
    """Prove the chain and the state against it."""
    try:
        return Proof(whole=True, events=desk.ledger.verify(), problem=None)
    except ChainError as error:
        return Proof(whole=False, events=None, problem=str(error))


def exported(desk: Desk, models: Collection[str], wanted: EventFilter) -> Iterator[str]:
    """Yield the events that fit as lines of JSON, oldest first, each field as the chain's hash covers it."""
    after = 0
    while rows := desk.ledger.exported_events(replace(wanted, models=models), after, _CHUNK):
        for row in rows:
            yield json.dumps(vars(row) | {"payload": json.loads(row.payload)}) + "\n"
        after = rows[-1].sequence
