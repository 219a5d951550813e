"""The token bucket against a model that looks at every window there is."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.token_bucket import Limit, full_bucket

LIMITS = st.builds(Limit, rate=st.integers(1, 5_000_000), burst=st.integers(1, 50))
GAPS = st.one_of(st.integers(0, 50), st.integers(0, 3_000_000), st.integers(0, 10**12))
CALLS = st.lists(st.tuples(GAPS, st.integers(1, 60)), max_size=40)


def fits(limit: Limit, admitted: list[tuple[int, int]], tokens: int, now: int) -> bool:
    """Say whether every window that ends now stays within burst + rate · length, this call included."""
    total = tokens
    windows = [total <= limit.burst]
    for at, taken in reversed(admitted):
        total += taken
        windows.append(total <= limit.burst + Fraction(limit.rate, 1000) * Fraction(now - at, 1_000_000))
    return all(windows)


@given(LIMITS, CALLS)
def test_admits_whatever_every_window_allows_and_nothing_else(limit, calls):
    """Never more than burst + rate · t in any window, and no call that keeps to that is refused."""
    bucket, admitted, now = full_bucket(limit, 0), [], 0
    for gap, asked in calls:
        tokens, now = min(asked, limit.burst), now + gap
        expected = fits(limit, admitted, tokens, now)
        assert expected == (bucket.take(tokens, now) == 0)
        if expected:
            admitted.append((now, tokens))


@given(LIMITS, CALLS)
def test_the_wait_is_exact(limit, calls):
    """After it a full burst passes, as every window allows; a microsecond before, neither."""
    bucket, admitted, now = full_bucket(limit, 0), [], 0
    for gap, asked in [*calls, (0, 1)]:
        tokens, now = min(asked, limit.burst), now + gap
        if bucket.take(tokens, now) == 0:
            admitted.append((now, tokens))
    wait = bucket.take(limit.burst, now)
    for moment, expected in ((now + wait - 1, False), (now + wait, True)):
        assert expected == fits(limit, admitted, limit.burst, moment)
        assert expected == (bucket.take(limit.burst, moment) == 0)
