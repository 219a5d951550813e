from datetime import UTC, datetime, timedelta

import pytest

from include.contracts.skew import SkewVerdict
from include.features.skew import EXAMPLES, History, Row, Served, equal, expect, judge, summarise

MATCH, DELAYED, ABSENT, CORRECTED, SKEW = SkewVerdict
TTL = timedelta(days=3)
AUDITED_AT = datetime(2017, 11, 5, tzinfo=UTC)


def day(number, hour=0):
    """Return a moment of November 2017."""
    return datetime(2017, 11, number, hour, tzinfo=UTC)


def of(stamp, spend, orders=4):
    """Return a customer's row of a day."""
    return Row(day(stamp), {"spend": spend, "orders": orders})


def history(*states, online=(1, 2, 3)):
    """Return a history of customer 1 by (moment something arrived or None, rows known after it).

    `online` are the days that were brought online, each at its midnight.
    """
    known = list(states)
    since = {day(number).date(): day(number) for number in online}

    def rows(as_of):
        return {1: [rows for moment, rows in known if moment is None or moment < as_of][-1]}

    return History(TTL, since, [moment for moment, _ in known if moment is not None], rows)


NOON = day(3, 12)


def served(stamp, values, at=NOON):
    """Return what a prediction on 3 November at noon got."""
    return Served(
        prediction_id="p1",
        model="churn",
        key=1,
        predicted_at=at,
        stamp=day(stamp) if stamp else None,
        values=dict(zip(("spend", "orders"), values, strict=True)),
        recorded_at=at,
    )


def verdicts(given, known):
    """Return what is made of each value a prediction got."""
    return judge(given.values, expect(given, known, AUDITED_AT))


PLAIN = history((None, [of(1, 10.0), of(2, 20.0), of(3, 30.0)]))
LATE = history(
    (None, [of(2, 20.0), of(3, 30.0)]),
    (day(3, 6), [of(2, 20.0), of(3, 31.0)]),
    (day(4), [of(2, 22.0), of(3, 33.0)]),
)
"""A purchase of 2 November arrives on the 3rd at six, another of the 1st on the 4th."""
OLD = history((None, [of(1, 10.0)]))
FIRST = history((None, [of(3, 30.0)]), online=(1, 2))
LAGGING = history((None, [of(2, 20.0), of(3, 30.0)]), online=(1, 2))
LATECOMER = history((None, []), (day(3, 6), [of(3, 30.0)]))


@pytest.mark.parametrize(
    ("known", "given", "expected"),
    [
        pytest.param(PLAIN, served(3, (30.0, 4)), (MATCH, MATCH), id="today's row"),
        pytest.param(PLAIN, served(2, (20.0, 4)), (DELAYED, MATCH), id="yesterday's row, not yet replaced"),
        pytest.param(PLAIN, served(3, (20.0, 4)), (SKEW, MATCH), id="yesterday's values under today's stamp"),
        pytest.param(PLAIN, served(3, (30.000001, 4)), (SKEW, MATCH), id="a float that was rounded"),
        pytest.param(PLAIN, served(3, (30.0, 4.0)), (MATCH, SKEW), id="an int that became a float"),
        pytest.param(PLAIN, served(2, (20.5, 4)), (SKEW, MATCH), id="an old row, and altered"),
        pytest.param(PLAIN, served(3, (None, 4)), (SKEW, MATCH), id="a value dropped"),
        pytest.param(PLAIN, served(None, (None, None)), (SKEW, SKEW), id="a row dropped"),
        pytest.param(FIRST, served(None, (None, None)), (ABSENT, ABSENT), id="a day not online yet"),
        pytest.param(FIRST, served(None, (30.0, None)), (SKEW, ABSENT), id="values without a row"),
        pytest.param(LAGGING, served(None, (None, None)), (SKEW, SKEW), id="an older one was online"),
        pytest.param(LATECOMER, served(None, (None, None)), (DELAYED, DELAYED), id="known after its day"),
        pytest.param(LATE, served(3, (30.0, 4)), (DELAYED, MATCH), id="materialised before a late purchase"),
        pytest.param(LATE, served(3, (31.0, 4)), (CORRECTED, MATCH), id="right, and corrected since"),
        pytest.param(LATE, served(3, (33.0, 4)), (SKEW, MATCH), id="what nobody could know yet"),
        pytest.param(LATE, served(3, (30.0, 4), at=day(3, 6)), (CORRECTED, MATCH), id="before it arrived"),
        pytest.param(OLD, served(1, (10.0, 4)), (MATCH, MATCH), id="no newer row"),
        pytest.param(OLD, served(1, (10.0, 4), at=day(4)), (MATCH, MATCH), id="exactly as old as the TTL"),
        pytest.param(OLD, served(1, (10.0, 4), at=day(4, 1)), (SKEW, SKEW), id="past its TTL and served"),
        pytest.param(OLD, served(None, (None, None), at=day(4, 1)), (MATCH, MATCH), id="past its TTL"),
        pytest.param(OLD, served(2, (11.0, 4)), (SKEW, MATCH), id="a stamp that never was"),
        pytest.param(history((None, [])), served(None, (None, None)), (MATCH, MATCH), id="no row at all"),
        pytest.param(history((None, [])), served(3, (1.0, None)), (SKEW, MATCH), id="a row out of nothing"),
    ],
)
def test_verdicts(known, given, expected):
    """What delay or correction explains is stale; what nothing explains is skew."""
    found = verdicts(given, known)
    assert expected == (found["spend"][0], found["orders"][0])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (1, 1, True),
        (1, 1.0, False),
        (1, True, False),
        (0.1 + 0.2, 0.3, False),
        (float("nan"), float("nan"), True),
        (None, None, True),
        (None, float("nan"), False),
        ("GROCERY", "GROCERY ", False),
    ],
)
def test_equality_is_exact(one, other, expected):
    """Type and value; NaN equals itself; null is not NaN."""
    assert expected is equal(one, other)


def test_the_expected_value_is_that_of_the_served_stamp():
    """An altered old row is held against its own day, so that the example shows what was altered."""
    assert (SKEW, 20.0) == verdicts(served(2, (20.5, 4)), PLAIN)["spend"]


def test_counts_and_examples():
    """Ratios per feature over all verdicts; a few skewed predictions are named with both values."""
    wrong = served(3, (20.0, 4))
    (orders, spend) = summarise("view", [(wrong, verdicts(wrong, PLAIN))] * (EXAMPLES + 1))
    assert ("orders", 6, 0, 0.0, ()) == (
        orders.feature,
        orders.compared,
        orders.skewed,
        orders.mismatch_ratio,
        orders.examples,
    )
    assert (6, 1.0, EXAMPLES) == (spend.skewed, spend.mismatch_ratio, len(spend.examples))
    assert ("p1", 20.0, 30.0) == tuple(spend.examples[0].model_dump().values())
