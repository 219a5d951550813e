"""What a window remembers."""

from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.call_window import CallWindow

CALLS = st.lists(st.tuples(st.floats(0.0, 4.0), st.integers(0, 5), st.booleans()), max_size=60)


@given(CALLS)
def test_it_counts_the_last_seconds_give_or_take_a_tenth(calls):
    """All of the last 9 s is counted, nothing older than 10 s."""
    window, now, known = CallWindow(10.0), 0.0, []
    for seconds, count, fails in calls:
        now += seconds
        window.record(now, calls=count, failures=count if fails else 0)
        known.append((now, count, count if fails else 0))
        found = window.totals(now)
        for position in (0, 1):
            least = sum(call[1 + position] for call in known if call[0] > now - 9.0)
            most = sum(call[1 + position] for call in known if call[0] > now - 10.0)
            assert least <= found[position] <= most
