"""The hash chain: events appended in the transaction of the state they change, and its proof."""

import json
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from include.adapters.ledger.tables import chain_head, events, utc_text
from include.contracts.canonical import canonical_json
from include.contracts.errors import ChainError
from include.contracts.events import GENESIS_HASH, EventKind, LedgerEvent, event_hash

# Made once: while they run, every other writer waits.
_HOLD = select(chain_head).with_for_update()
_APPEND = insert(events)
_MOVE = update(chain_head)
# On a server each statement is a way there and back, so one does the work of two. The commit gives the head
# back without waiting for the disk; `engine.writing` waits for it afterwards, when nobody waits for the head.
_HOLD_AND_COMMIT_EARLY = select(
    chain_head,
    func.set_config("synchronous_commit", "off", True),
).with_for_update()
_APPEND_AND_MOVE = insert(events).add_cte(
    update(chain_head)
    .values(count=bindparam("head_count"), hash=bindparam("head_hash"), recorded_at=bindparam("head_at"))
    .cte("moved")
)


@dataclass(frozen=True)
class StoredEvent:
    """An event exactly as its row holds it: texts, nothing parsed."""

    sequence: int
    kind: str
    model: str | None
    subject: str
    actor: str
    recorded_at: str
    payload: str
    previous_hash: str
    hash: str

    def parsed(self) -> LedgerEvent:
        """Return the event with its payload and time read."""
        return LedgerEvent.model_validate({**vars(self), "payload": json.loads(self.payload)})


@dataclass(frozen=True)
class Head:
    """End of the chain: how many events there are and the hash of the last one."""

    count: int
    hash: str


class Transaction:
    """A write transaction that holds the chain's head: writers go one after the other."""

    def __init__(self, connection: Connection, clock_now: datetime) -> None:
        self.connection = connection
        self._is_remote = connection.dialect.name == "postgresql"
        hold = _HOLD_AND_COMMIT_EARLY if self._is_remote else _HOLD
        head = connection.execute(hold).mappings().one()
        self._head = Head(head["count"], head["hash"])
        self.now: datetime = max(clock_now, head["recorded_at"])
        """Wall time of this change; never before that of the change before it."""

    def append(
        self, kind: EventKind, *, model: str | None, subject: str, actor: str, payload: Mapping[str, Any]
    ) -> int:
        """Append an event and return its sequence number; the payload must be plain JSON."""
        text = canonical_json(dict(payload)).decode()
        fields: dict[str, Any] = {
            "sequence": self._head.count + 1,
            "kind": kind.value,
            "model": model,
            "subject": subject,
            "actor": actor,
            "recorded_at": utc_text(self.now),
            "previous_hash": self._head.hash,
        }
        digest = event_hash(**fields, payload=json.loads(text))
        self._head = Head(self._head.count + 1, digest)
        self._write({**fields, "payload": text, "hash": digest})
        return self._head.count

    def _write(self, event: dict[str, Any]) -> None:
        """Write an event and the head that it made."""
        head = {"count": self._head.count, "hash": self._head.hash, "recorded_at": self.now}
        if self._is_remote:
            moved = {"head_count": head["count"], "head_hash": head["hash"], "head_at": head["recorded_at"]}
            self.connection.execute(_APPEND_AND_MOVE, event | moved)
        else:
            self.connection.execute(_APPEND, event)
            self.connection.execute(_MOVE, head)


def stored_events(connection: Connection) -> Generator[StoredEvent]:
    """Yield the chain's rows in the order of their sequence numbers; who stops before the end closes it."""
    query = select(events).order_by(events.c.sequence).execution_options(yield_per=1_000)
    with connection.execute(query) as rows:
        yield from (StoredEvent(**row) for row in rows.mappings())


def stored_head(connection: Connection) -> Head:
    """Return the end of the chain as it was written down.

    Raises:
        ChainError: the row is gone.
    """
    row = connection.execute(select(chain_head)).mappings().one_or_none()
    if row is None:
        raise ChainError("the chain's head row is gone: the ledger was tampered with")
    return Head(row["count"], row["hash"])


def verify_chain(rows: Iterable[StoredEvent], head: Head) -> int:
    """Prove that no event was altered, removed or moved, and return how many there are.

    A truncated tail shows against the head. Whoever rewrites the whole chain *and* the head is only
    found by comparing the head with a copy kept elsewhere.

    Raises:
        ChainError: names the first bad sequence number and what is wrong with it.
    """
    last = Head(0, GENESIS_HASH)
    for row in rows:
        _check_link(row, last)
        last = Head(row.sequence, row.hash)
    if last != head:
        raise ChainError(
            f"event {last.count + 1}: the chain ends after event {last.count}, but its head says "
            f"{head.count} events and hash {head.hash[:12]}…: the tail was removed or added to"
        )
    return last.count


def _check_link(row: StoredEvent, last: Head) -> None:
    expected = last.count + 1
    if row.sequence != expected:
        raise ChainError(f"event {expected}: missing; the next row is event {row.sequence}")
    if row.previous_hash != last.hash:
        raise ChainError(f"event {expected}: does not follow event {last.count}; rows were moved or altered")
    if row.hash != _recomputed_hash(row):
        raise ChainError(f"event {expected}: its content does not match its hash; it was altered")


def _recomputed_hash(row: StoredEvent) -> str | None:
    fields = {name: value for name, value in vars(row).items() if name not in {"hash", "payload"}}
    try:
        payload = json.loads(row.payload)
    except ValueError:
        return None
    # The hash covers the payload's meaning; its text must be the one canonical form of it.
    return event_hash(**fields, payload=payload) if canonical_json(payload).decode() == row.payload else None
