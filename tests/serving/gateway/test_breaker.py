"""When a breaker opens, tries and closes."""

from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.breaker import Breaker, BreakerPolicy, BreakerState

POLICY = BreakerPolicy()
CLOSED, OPEN, HALF_OPEN = BreakerState


def opened(changes: list[BreakerState] | None = None) -> Breaker:
    """A breaker that has just opened, at 0."""
    breaker = Breaker(POLICY, (changes if changes is not None else []).append)
    breaker.admit(20, 0.0)
    breaker.record(0.0, failed=20)
    return breaker


def test_it_opens_at_its_share_of_failures_and_not_before():
    """Ten of twenty open it; nine of nineteen, or nine of twenty, do not."""
    for answered, failed, expected in ((10, 9, CLOSED), (11, 9, CLOSED), (10, 10, OPEN), (0, 19, CLOSED)):
        breaker = Breaker(POLICY, lambda _: None)
        breaker.record(0.0, answered=answered)
        breaker.record(0.0, failed=failed)
        assert expected is breaker.state, (answered, failed)


def test_old_failures_are_forgotten():
    """What lies further back than the window does not open it."""
    breaker = Breaker(POLICY, lambda _: None)
    breaker.record(0.0, failed=19)
    breaker.record(11.0, failed=1)

    assert CLOSED is breaker.state


def test_after_the_pause_a_few_are_tried_and_all_must_be_answered():
    """Nothing in the pause; then five, and no sixth until these are known."""
    breaker = opened(changes := [])
    assert [0, 0] == [breaker.admit(9, 0.0), breaker.admit(9, 4.9)]
    assert [3, 2, 0] == [breaker.admit(3, 5.0), breaker.admit(3, 5.0), breaker.admit(3, 5.0)]
    breaker.record(5.1, answered=3)
    assert HALF_OPEN is breaker.state
    breaker.record(5.2, answered=2)

    assert [OPEN, HALF_OPEN, CLOSED] == changes
    assert 9 == breaker.admit(9, 5.2)


def test_a_failed_trial_opens_it_for_another_pause():
    """Counted from the failure."""
    breaker = opened()
    breaker.admit(1, 5.0)
    breaker.record(6.0, failed=1)

    assert [0, 0, 5] == [breaker.admit(9, 6.0), breaker.admit(9, 10.9), breaker.admit(9, 11.0)]


def test_a_trial_that_decided_nothing_may_be_made_again():
    """Its deadline was nearly over before it began."""
    breaker = opened()
    assert 5 == breaker.admit(9, 5.0)
    breaker.record(5.1, undecided=2)

    assert 2 == breaker.admit(9, 5.1)


def test_trials_that_never_came_back_are_made_anew():
    """It does not stay half-open for ever."""
    breaker = opened()
    breaker.admit(9, 5.0)

    assert [0, 5] == [breaker.admit(9, 9.9), breaker.admit(9, 10.0)]


EVENTS = st.lists(
    st.tuples(st.floats(0.0, 3.0), st.integers(1, 12), st.sampled_from(["answered", "failed", "undecided"])),
    max_size=100,
)


@given(EVENTS)
def test_an_open_breaker_asks_nothing_and_a_half_open_one_little(events):
    """Whatever happens, a pause is a pause, and it closes only after as many right trials as it wants."""
    changes: list[BreakerState] = []
    breaker, now, opened_at, right = Breaker(POLICY, changes.append), 0.0, 0.0, 0
    for seconds, entities, outcome in events:
        now += seconds
        before = breaker.state
        admitted = breaker.admit(entities, now)
        if before is OPEN and now - opened_at < POLICY.pause_seconds:
            assert (OPEN, 0) == (breaker.state, admitted)
        if before is OPEN and breaker.state is HALF_OPEN:
            right = 0
        if breaker.state is HALF_OPEN:
            assert admitted <= POLICY.trials
            right += admitted if outcome == "answered" else 0
        was = breaker.state
        breaker.record(now, **{outcome: admitted})
        if was is HALF_OPEN and breaker.state is CLOSED:
            assert right >= POLICY.trials
        if breaker.state is OPEN and was is not OPEN:
            opened_at = now
