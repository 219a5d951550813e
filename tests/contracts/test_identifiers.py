from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contracts.identifiers import derived_uuid7, time_of, uuid7

MOMENT = datetime(2017, 11, 1, 12, 30, 15, 123456, tzinfo=UTC)


def test_the_time_is_the_one_of_the_standard_s_example():
    """RFC 9562, appendix A.6: 017F22E2-79B0-7CC3-98C4-DC0C0C07398F is 2022-02-22T19:22:22Z."""
    assert datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC) == time_of("017F22E2-79B0-7CC3-98C4-DC0C0C07398F")


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=365 * 8_000)))
def test_an_id_carries_its_time_in_milliseconds(since_1970):
    """Any time from 1970 on comes back, cut to whole milliseconds; version and variant are in place."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + since_1970
    identifier = uuid7(moment)

    assert moment - timedelta(microseconds=moment.microsecond % 1000) == time_of(identifier)
    assert (7, RFC_4122) == (UUID(identifier).version, UUID(identifier).variant)


def test_ids_of_one_moment_rise():
    """Ids of equal times sort as they were made, and never repeat."""
    made = [uuid7(MOMENT) for _ in range(10_000)]

    assert sorted(set(made)) == made


@pytest.mark.parametrize(
    "text", ["", "nonsense", "3f0a4b1e-8c1d-4a63-9b5e-1a2b3c4d5e6f", "ffffffff-ffff-7fff-bfff-ffffffffffff"]
)
def test_what_is_no_uuid7_is_refused(text):
    """Other texts, other versions and times past the calendar are refused."""
    with pytest.raises(ValueError, match=r"UUID|year 9999"):
        time_of(text)


@pytest.mark.parametrize("moment", [datetime(2017, 1, 1), datetime(1969, 12, 31, tzinfo=UTC)])  # noqa: DTZ001
def test_times_that_do_not_fit_are_refused(moment):
    """A naive time and one before 1970 are refused."""
    with pytest.raises(ValueError, match=r"zone|outside"):
        uuid7(moment)


def test_a_derived_id_is_its_names_and_carries_its_time():
    """The same time and name give the same id; another of either another one; the bits are right."""
    made = derived_uuid7(MOMENT, "one")

    assert made == derived_uuid7(MOMENT, "one")
    assert time_of(uuid7(MOMENT)) == time_of(made)
    assert (7, RFC_4122) == (UUID(made).version, UUID(made).variant)
    assert 3 == len({made, derived_uuid7(MOMENT, "two"), derived_uuid7(MOMENT + timedelta(seconds=1), "one")})
