"""Which endpoint is asked, ejected and readmitted."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.endpoint_pool import EjectionPolicy, EndpointPool

POLICY = EjectionPolicy()
HERE, THERE, ELSEWHERE = "here:1", "there:1", "elsewhere:1"


def pool(*endpoints: str, in_flight: Counter | None = None) -> EndpointPool:
    """A pool whose chance is fixed."""
    return EndpointPool(endpoints, in_flight or Counter(), POLICY, random.Random(7).sample)  # noqa: S311


def eject(made: EndpointPool, endpoint: str, now: float = 0.0) -> None:
    """Fail until it is ejected."""
    while not made.went_silent(endpoint, now):
        pass


def test_of_two_the_one_with_fewer_calls_in_flight_is_asked():
    """Power of two choices; the counts are shared by all versions."""
    in_flight = Counter({HERE: 3, THERE: 1})

    assert {THERE} == {pool(HERE, THERE, in_flight=in_flight).choose() for _ in range(20)}


def test_the_busiest_of_three_is_never_asked():
    """Whichever two are drawn, the busiest has a better one beside it."""
    made = pool(HERE, THERE, ELSEWHERE, in_flight=Counter({HERE: 9}))

    assert {THERE, ELSEWHERE} == {made.choose() for _ in range(50)}


def test_three_failures_in_a_row_eject():
    """An answer in between starts the count anew."""
    made = pool(HERE, THERE)
    told = [made.went_silent(HERE, 0.0), made.went_silent(HERE, 0.0)]
    made.answered(HERE, 0.0, 0.01)
    told += [made.went_silent(HERE, 0.0) for _ in range(3)]

    assert [False, False, False, False, True] == told
    assert {THERE} == {made.choose() for _ in range(20)}


def test_only_a_right_probe_readmits_and_each_ejection_lasts_longer():
    """1, 2, 4 seconds and so on, at most 10; an ordinary answer readmits nothing."""
    made, now, waits = pool(HERE, THERE), 0.0, []
    eject(made, HERE)
    made.answered(HERE, now, 0.01)
    for _ in range(6):
        waits.append(made.probe_at(HERE) - now)
        now = made.probe_at(HERE)
        made.probed(HERE, now, is_right=False)

    assert [1.0, 2.0, 4.0, 8.0, 10.0, 10.0] == waits
    made.probed(HERE, now, is_right=True)
    assert None is made.probe_at(HERE)
    assert {HERE, THERE} == {made.choose() for _ in range(20)}


def test_an_ejection_long_ago_is_forgiven():
    """After a quiet minute the next one is a first one again; before, it is not."""
    made = pool(HERE, THERE)
    eject(made, HERE, 0.0)
    made.probed(HERE, 1.0, is_right=True)
    eject(made, HERE, 2.0)
    assert 4.0 == made.probe_at(HERE)
    made.probed(HERE, 4.0, is_right=True)
    eject(made, HERE, 64.0)
    assert 65.0 == made.probe_at(HERE)


def test_with_all_ejected_the_one_that_failed_the_longest_ago_is_asked():
    """Better a doubtful answer than none; each failure moves one to the end of the queue."""
    made = pool(HERE, THERE)
    eject(made, HERE, 1.0)
    eject(made, THERE, 2.0)
    asked = [made.choose()]
    made.went_silent(HERE, 3.0)
    asked.append(made.choose())

    assert [HERE, THERE] == asked
    assert None is made.choose(tried=[HERE, THERE])


def test_errors_of_the_model_eject_only_where_others_have_far_fewer():
    """A bad row fails everywhere: that is no fault of an endpoint."""
    sick, both = pool(HERE, THERE), pool(HERE, THERE)
    for _ in range(30):
        for made in (sick, both):
            made.answered_with_error(HERE, 0.0)
        sick.answered(THERE, 0.0, 0.01)
        both.answered_with_error(THERE, 0.0)

    assert None is not sick.probe_at(HERE)
    assert (None, None) == (both.probe_at(HERE), both.probe_at(THERE))


def test_a_call_that_had_no_time_is_held_against_nobody():
    """A deadline that was all but over says nothing about the endpoint."""
    made = pool(HERE, THERE)

    assert not any(made.timed_out(HERE, 0.0, 0.049) for _ in range(10))
    assert [False, False, True] == [made.timed_out(HERE, 0.0, 0.05) for _ in range(3)]


def test_a_try_leaves_time_for_another():
    """Half of what is left, less where answers are known to be fast; all of it without another to ask."""
    made = pool(HERE, THERE)
    assert 1.0 == made.try_seconds(2.0, [HERE])
    made.answered(HERE, 0.0, 0.02)
    assert 0.16 == made.try_seconds(2.0, [HERE])
    eject(made, THERE)
    assert 2.0 == made.try_seconds(2.0, [HERE])


@given(st.lists(st.tuples(st.sampled_from([HERE, THERE, ELSEWHERE]), st.integers(0, 4)), max_size=80))
def test_there_is_always_one_to_ask_and_no_admitted_one_is_passed_over(events):
    """Whatever happens, an ejected endpoint is chosen only while all are ejected."""
    made, now = pool(HERE, THERE, ELSEWHERE), 0.0
    for endpoint, kind in events:
        now += 0.3
        if kind == 0:
            made.answered(endpoint, now, 0.01)
        elif kind == 1:
            made.answered_with_error(endpoint, now)
        elif kind == 2:
            made.answered_wrongly(endpoint, now)
        elif kind == 3 and made.probe_at(endpoint) is not None:
            made.probed(endpoint, now, is_right=endpoint == HERE)
        else:
            made.went_silent(endpoint, now)
        out = {name for name in made.endpoints if made.probe_at(name) is not None}
        assert (made.choose() in out) == (len(out) == 3)
