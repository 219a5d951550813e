from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

from include.adapters.ledger.chain import Head, StoredEvent, verify_chain
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.routes import RouteUpdate
from include.contracts.canonical import canonical_json
from include.contracts.errors import ChainError, ConflictError
from include.contracts.events import GENESIS_HASH, event_hash
from include.contracts.retraining import RetrainReason
from tests.adapters.ledger.changes import advance_to_loaded, open_release, register, route_to, tamper
from tests.adapters.ledger.conftest import START

FOUR = ("1.0.0", "1.0.1", "1.1.0", "2.0.0")

TAMPERINGS = {
    "altered": ("UPDATE events SET actor = 'eve' WHERE sequence = 2", "event 2: .*altered"),
    "reformatted": (
        "UPDATE events SET payload = replace(payload, ':', ': ') WHERE sequence = 2",
        "event 2: .*altered",
    ),
    "not json": ("UPDATE events SET payload = '{' WHERE sequence = 2", "event 2: .*altered"),
    "removed": ("DELETE FROM events WHERE sequence = 3", "event 3: missing"),
    "first removed": ("DELETE FROM events WHERE sequence = 1", "event 1: missing"),
    "tail removed": ("DELETE FROM events WHERE sequence = 4", "event 4: the chain ends after event 3"),
    "reordered": (
        "UPDATE events SET sequence = CASE sequence WHEN 2 THEN -3 WHEN 3 THEN -2 END"
        " WHERE sequence IN (2, 3); UPDATE events SET sequence = -sequence WHERE sequence < 0",
        "event 2: does not follow event 1",
    ),
    "head altered": ("UPDATE chain_head SET count = 5", "event 5: the chain ends after event 4"),
    "head removed": ("DELETE FROM chain_head", "head row is gone"),
}


@pytest.mark.parametrize("kind", TAMPERINGS)
def test_tampering_is_found(ledger: Ledger, url: str, kind: str) -> None:
    """Whatever is done to the rows behind the ledger's back, the first bad one is named."""
    for version in FOUR:
        register(ledger, version)
    assert ledger.verify() == 4
    script, message = TAMPERINGS[kind]
    tamper(url, script)
    with pytest.raises(ChainError, match=message):
        ledger.verify()


@pytest.mark.parametrize("table", ["events", "approvals", "route_snapshots"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET sequence = sequence", "DELETE FROM {}"])
def test_append_only_tables_refuse_changes(ledger: Ledger, url: str, table: str, statement: str) -> None:
    """The database itself refuses to change or remove a row."""
    register(ledger)
    advance_to_loaded(ledger, open_release(ledger))
    ledger.change_route(RouteUpdate(route_to("1.0.0"), 0), actor="olga", reason="drill")
    engine = create_engine(url)
    with engine.begin() as raw, pytest.raises(DBAPIError, match=f"{table} is append-only"):
        raw.exec_driver_sql(statement.format(table))
    engine.dispose()


def test_recorded_at_never_goes_back(url: str) -> None:
    """A wall clock set back leaves the chain's times in order."""
    ahead = Ledger(url)
    register(ahead)
    behind = Ledger(url, clock=lambda: ahead.events()[0].recorded_at.replace(year=2000))
    register(behind, "1.0.1")
    first, second = ahead.events()
    assert first.recorded_at == second.recorded_at
    ahead.close()
    behind.close()


def _write_many(url: str, writer: int) -> None:
    ledger = Ledger(url)
    for number in range(10):
        register(ledger, f"{writer}.{number}.0", model=f"model_{writer}")
    ledger.close()


def test_concurrent_writers_keep_the_chain(ledger: Ledger, url: str) -> None:
    """Sixteen processes that write at once lose nothing and break nothing; a proof meanwhile holds."""
    with ProcessPoolExecutor(16, mp_context=get_context("fork")) as pool:
        written = pool.map(_write_many, [url] * 16, range(16))
        proven = [ledger.verify() for _ in range(20)]
        list(written)
    assert sorted(proven) == proven
    assert ledger.verify() == 160
    assert all(len(ledger.versions(f"model_{writer}")) == 10 for writer in range(16))


def test_state_and_event_are_one(ledger: Ledger, url: str) -> None:
    """Where the event cannot be written, the state is not changed either."""
    first = register(ledger)
    tamper(url, "CREATE UNIQUE INDEX fault ON events (kind)")
    with pytest.raises(ConflictError, match=r"(?i)unique constraint"):
        register(ledger, "1.0.1")
    assert ledger.versions("churn") == (first,)
    assert ledger.verify() == 1
    ledger.request_retrain("churn", RetrainReason.MANUAL, as_of=START, actor="ada")
    assert ledger.verify() == 2


def _chain(payloads: list[dict[str, int]]) -> tuple[list[StoredEvent], Head]:
    rows: list[StoredEvent] = []
    previous = GENESIS_HASH
    for sequence, payload in enumerate(payloads, start=1):
        fields = {
            "sequence": sequence,
            "kind": "alert_raised",
            "model": None,
            "subject": "a",
            "actor": "system",
            "recorded_at": "2026-01-01T00:00:00.000000+00:00",
            "previous_hash": previous,
        }
        previous = event_hash(**fields, payload=payload)
        rows.append(StoredEvent(**fields, payload=canonical_json(payload).decode(), hash=previous))
    return rows, Head(len(rows), previous)


_PAYLOADS = st.lists(st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2), min_size=1)


@given(_PAYLOADS)
def test_untouched_chain_verifies(payloads: list[dict[str, int]]) -> None:
    """Any chain that was only appended to is sound."""
    rows, head = _chain(payloads)
    assert len(payloads) == verify_chain(rows, head)


@given(_PAYLOADS, st.data())
def test_any_single_change_is_found(payloads: list[dict[str, int]], data: st.DataObject) -> None:
    """A changed, dropped or doubled row anywhere is named by its own number."""
    rows, head = _chain(payloads)
    place = data.draw(st.integers(0, len(rows) - 1))
    row = rows[place]
    changed = data.draw(
        st.sampled_from(
            [
                [replace(row, actor="eve")],
                [replace(row, payload='{"added":1}')],
                [replace(row, hash="0" * 64)],
                [],
                [row, row],
            ]
        )
    )
    bad = place + 1 + (len(changed) > 1)
    with pytest.raises(ChainError, match=f"^event {bad}: "):
        verify_chain(rows[:place] + changed + rows[place + 1 :], head)


def test_events_can_be_filtered(ledger: Ledger) -> None:
    """Events are read on from a sequence number, by model and by kind."""
    for version in FOUR:
        register(ledger, version)
    register(ledger, model="spend")
    assert [3, 4] == [event.sequence for event in ledger.events(model="churn", after=2)]
    assert [1, 2] == [event.sequence for event in ledger.events(limit=2)]
