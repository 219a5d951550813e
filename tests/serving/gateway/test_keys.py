"""Keys at the gateway: who is let in, and until when."""

from collections.abc import Callable, Iterator
from datetime import timedelta, timezone
from pathlib import Path

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.commands.keys import FOLLOWED_WITHIN_SECONDS
from include.contracts.keys import ApiKey, Verb
from serving.gateway.keys import KeyRing
from serving.gateway.problems import Problem
from tests.serving.gateway.conftest import KEY, NOW, Stage, api_key, route, wait_for

HEADER = f"Bearer {KEY}"
SECOND = timedelta(seconds=1)
ABROAD = timezone(timedelta(hours=-7))


@pytest.mark.parametrize(
    "ends",
    [
        {"expires_at": NOW},
        {"revoked_at": NOW},
        {"expires_at": NOW + SECOND, "revoked_at": NOW},
        {"expires_at": NOW, "revoked_at": NOW + SECOND},
        {"expires_at": NOW.astimezone(ABROAD)},
    ],
)
def test_a_key_counts_until_its_first_end(ends):
    """Up to the moment it expires or is revoked, whichever comes first, and not at it; in any zone."""
    ring = KeyRing([api_key(KEY, **ends)])

    assert f"id-{KEY.partition('.')[0]}" == ring.authenticate(HEADER, NOW - SECOND).key_id
    with pytest.raises(Problem, match="expired or revoked"):
        ring.authenticate(HEADER, NOW)


def test_a_key_without_an_end_counts_for_ever():
    """Neither expiry nor revocation: no moment is too late."""
    ring = KeyRing([api_key(KEY)])

    assert ring.authenticate(HEADER, NOW + timedelta(days=365_000)).prefix == KEY.partition(".")[0]


@pytest.mark.parametrize(
    "secret", ["", ".", "nk_all", "nk_all.", "nk_all.secre", "nk_all.secret ", "nk_a.secret"]
)
def test_only_the_whole_key_is_taken(secret):
    """A prefix, a part, or one letter more is no key."""
    with pytest.raises(Problem, match="unknown"):
        KeyRing([api_key(KEY)]).authenticate(f"Bearer {secret}", NOW)


@pytest.fixture
def ledger(tmp_path: Path, triton) -> Iterator[Ledger]:
    """A ledger with a route, its wall time that of the gateway."""
    url = f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    upgrade(url)
    opened = Ledger(url, lambda: NOW)
    opened.change_route(RouteUpdate(route(triton[1]), 0), actor="ada", reason="start")
    yield opened
    opened.close()


def opener(ledger: Ledger) -> Callable[[], Ledger]:
    """Return what opens the same ledger again, as the gateway does."""
    return lambda: Ledger(str(ledger._engine.url), lambda: NOW)


def status(stage: Stage, secret: str) -> int:
    """Return how a prediction is answered to a key."""
    headers = {"Authorization": f"Bearer {secret}"}
    return stage.predict({"entity": {"customer_id": 1}}, headers=headers).status_code


def test_a_revoked_key_is_refused_within_the_stated_time(start, ledger):
    """Issued while the gateway runs, it counts; revoked, it is refused: each within the time we state."""
    stage = start(opened=opener(ledger))
    key, secret = ledger.issue_key("shop", ["churn"], [Verb.PREDICT], "ada")
    wait_for(lambda: status(stage, secret) == 200, FOLLOWED_WITHIN_SECONDS)
    ledger.revoke_key(key.key_id, actor="ada", reason="lost")
    wait_for(lambda: status(stage, secret) == 401, FOLLOWED_WITHIN_SECONDS)


def test_both_keys_count_while_they_overlap(start, ledger):
    """The rotated key goes on beside its successor; an overlap of nothing ends it."""
    key, old = ledger.issue_key("shop", ["churn"], [Verb.PREDICT], "ada")
    stage = start(opened=opener(ledger))
    _, new = ledger.rotate_key(key.key_id, timedelta(hours=1), actor="ada")
    wait_for(lambda: status(stage, new) == 200, FOLLOWED_WITHIN_SECONDS)
    assert 200 == status(stage, old)
    ledger.rotate_key(key.key_id, timedelta(0), actor="ada")
    wait_for(lambda: status(stage, old) == 401, FOLLOWED_WITHIN_SECONDS)
    assert 200 == status(stage, new)


def test_without_its_ledger_a_gateway_takes_the_keys_it_saw_last(stage):
    """A revocation it cannot see does not count until the ledger is back."""

    def revoked(key: ApiKey) -> ApiKey:
        return key.model_copy(update={"revoked_at": NOW})

    stage.ledger.is_down = True
    wait_for(lambda: stage.ledger.asked_while_down > 0)
    stage.ledger.keys = tuple(map(revoked, stage.ledger.keys))
    seen = stage.ledger.asked_while_down
    wait_for(lambda: stage.ledger.asked_while_down > seen)
    assert 200 == status(stage, KEY)
    stage.ledger.is_down = False
    wait_for(lambda: status(stage, KEY) == 401, FOLLOWED_WITHIN_SECONDS)
