"""The key ring: who is let in, and until when."""

from datetime import timedelta, timezone

import pytest

from serving.gateway.keys import KeyRing
from serving.gateway.problems import Problem
from tests.serving.gateway.conftest import KEY, NOW, api_key

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
