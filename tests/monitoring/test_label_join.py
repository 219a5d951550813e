"""The join against one that is written down row by row, and what bad labels get."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from math import inf, nan

import pyarrow
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from include.contracts.labelled import Refusal
from include.contracts.signatures import FeatureInput, FeatureKind, Signature, Task
from include.monitoring.label_join import LABELS, OUTCOMES, PREDICTIONS, Joined, join_labels

DAY = timedelta(days=1)
MIDNIGHT = datetime(2017, 11, 1, tzinfo=UTC)
INPUTS = (FeatureInput(name="a", kind=FeatureKind.NUMERIC, view="v"),)
BINARY = Signature(task=Task.BINARY, inputs=INPUTS)
Row = dict[str, object]


def prediction(number: int, unit: str, at: datetime) -> Row:
    """A prediction of a unit."""
    return {
        "prediction_id": f"p{number}",
        "unit": unit,
        "predicted_at": at,
        "served_version": "1.0.0",
        "assigned_variant": "champion",
        "outputs": [0.5],
    }


def label(unit: str, event_at: datetime, value: float = 1.0, version: int = 1, late: int = 14) -> Row:
    """A label of `label.sql`, known some days after its moment."""
    return {
        "unit": unit,
        "event_at": event_at,
        "known_at": event_at + late * DAY,
        "value": value,
        "version": version,
        "source": "label.sql",
    }


def outcome(number: int, subject: Row, value: float, occurred_at: datetime, recorded_at: datetime) -> Row:
    """An outcome as told."""
    told = {
        "outcome_id": f"o{number}",
        "value": value,
        "occurred_at": occurred_at,
        "recorded_at": recorded_at,
    }
    return {"prediction_id": None, "unit": None} | subject | told


def joined(
    predictions: list[Row],
    labels: list[Row],
    outcomes: list[Row] = (),
    as_of: datetime = MIDNIGHT + 30 * DAY,
    signature: Signature = BINARY,
) -> Joined:
    """Join rows."""
    return join_labels(
        signature,
        pyarrow.Table.from_pylist(predictions, PREDICTIONS),
        pyarrow.Table.from_pylist(labels, LABELS),
        pyarrow.Table.from_pylist(list(outcomes), OUTCOMES),
        as_of,
    )


def truths(found: Joined) -> dict[str, tuple[float, int, str]]:
    """Return value, version and source by prediction."""
    rows = found.labelled.to_pylist()
    assert len(rows) == len({row["prediction_id"] for row in rows})
    return {row["prediction_id"]: (row["value"], row["label_version"], row["label_source"]) for row in rows}


def reasons(found: Joined) -> Counter[str]:
    """Return how many labels were set aside, by reason."""
    return Counter(found.refused["reason"].to_pylist())


def naive(
    predictions: list[Row], labels: list[Row], outcomes: list[Row], as_of: datetime
) -> dict[str, tuple[float, int, str]]:
    """Join row by row, as the words say it."""
    found = {}
    for each in predictions:
        candidates = []
        for said in labels:
            is_good = said["event_at"] <= said["known_at"] <= as_of and said["value"] in (0.0, 1.0)
            of_day = said["event_at"].replace(hour=0, minute=0) == said["event_at"]
            begins = each["predicted_at"].replace(hour=0, minute=0, second=0) == said["event_at"]
            if is_good and of_day and begins and said["unit"] == each["unit"]:
                rank = (said["version"], said["known_at"], said["value"], said["source"])
                candidates.append(rank)
        for told in outcomes:
            is_named = told["prediction_id"] == each["prediction_id"]
            of_unit = (
                told["unit"] == each["unit"] and told["occurred_at"].date() == each["predicted_at"].date()
            )
            if is_named and told["occurred_at"] < each["predicted_at"]:
                continue
            if (is_named or of_unit) and told["occurred_at"] <= as_of and told["value"] in (0.0, 1.0):
                version = (told["recorded_at"] - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
                    microseconds=1
                )
                candidates.append((version, told["occurred_at"], told["value"], "outcome"))
        if candidates:
            version, _, value, source = max(candidates)
            found[each["prediction_id"]] = (value, version, source)
    return found


UNITS = st.sampled_from("abc")
HOURS = st.integers(0, 71).map(lambda hours: MIDNIGHT + timedelta(hours=hours))
VALUES = st.sampled_from((0.0, 1.0, 0.0, 1.0, 0.5, 2.0, nan))


@budget(deadline=None, max_examples=60)
@given(
    drawn=st.lists(st.tuples(UNITS, HOURS), max_size=8),
    labels=st.lists(
        st.builds(
            label,
            UNITS,
            st.integers(0, 2).map(lambda days: MIDNIGHT + days * DAY) | HOURS,
            VALUES,
            st.integers(1, 3),
            st.sampled_from((14, 14, 14, 20, 40, -1)),
        ),
        max_size=10,
    ),
    told=st.lists(
        st.tuples(
            st.sampled_from(("unit", "prediction_id", "unknown")), st.integers(0, 7), UNITS, VALUES, HOURS
        ),
        max_size=4,
    ),
    days=st.integers(0, 45),
)
def test_the_join_is_what_its_words_say(drawn, labels, told, days):
    """Whatever predictions, labels and outcomes there are, and whenever it is looked from."""
    predictions = [prediction(number, *each) for number, each in enumerate(drawn)]
    outcomes = [
        outcome(
            number,
            {"unit": unit}
            if kind == "unit"
            else {"prediction_id": f"p{named}" if kind != "unknown" else "none"},
            value,
            at,
            at + timedelta(minutes=number),
        )
        for number, (kind, named, unit, value, at) in enumerate(told)
    ]
    as_of = MIDNIGHT + days * DAY
    # Two statements may tie in version but by a coincidence of the clock; then the larger source decides.
    assert naive(predictions, labels, outcomes, as_of) == truths(joined(predictions, labels, outcomes, as_of))


def test_duplicates_do_nothing_and_the_latest_version_known_wins():
    """The same label again changes nothing; a correction counts from when it is known."""
    predictions = [prediction(1, "a", MIDNIGHT + timedelta(hours=9))]
    labels = [label("a", MIDNIGHT, 0.0)] * 3 + [label("a", MIDNIGHT, 1.0, version=2, late=20)]

    before = joined(predictions, labels, as_of=MIDNIGHT + 15 * DAY)
    after = joined(predictions, labels, as_of=MIDNIGHT + 20 * DAY)
    assert ({"p1": (0.0, 1, "label.sql")}, 2) == (truths(before), before.superseded)
    assert ({"p1": (1.0, 2, "label.sql")}, 3) == (truths(after), after.superseded)
    assert {} == truths(joined(predictions, labels, as_of=MIDNIGHT + 13 * DAY))


def test_a_label_is_about_its_day_only():
    """Every prediction of the unit on the day that begins with its moment, and no other."""
    moments = [MIDNIGHT - timedelta(seconds=1), MIDNIGHT, MIDNIGHT + timedelta(hours=23), MIDNIGHT + DAY]
    predictions = [prediction(number, "a", at) for number, at in enumerate(moments)]

    assert ["p1", "p2"] == sorted(truths(joined(predictions, [label("a", MIDNIGHT), label("b", MIDNIGHT)])))


def test_an_outcome_overrules_the_query_and_a_later_one_the_earlier():
    """By the prediction it names; by its unit on the day it occurred."""
    at = MIDNIGHT + timedelta(hours=9)
    predictions = [prediction(1, "a", at), prediction(2, "b", at)]
    labels = [label("a", MIDNIGHT, 0.0), label("b", MIDNIGHT, 0.0)]
    outcomes = [
        outcome(1, {"prediction_id": "p1"}, 1.0, at + DAY, at + DAY),
        outcome(2, {"prediction_id": "p1"}, 0.0, at + DAY, at + 2 * DAY),
        outcome(3, {"unit": "b"}, 1.0, at, at),
    ]
    found = truths(joined(predictions, labels, outcomes))

    assert {"p1": (0.0, "outcome"), "p2": (1.0, "outcome")} == {
        name: (value, source) for name, (value, _, source) in found.items()
    }


@pytest.mark.parametrize(
    ("task", "classes", "bad"),
    [
        (Task.BINARY, (), [-1.0, 0.5, 2.0, nan, inf]),
        (Task.MULTICLASS, ("x", "y", "z"), [-1.0, 1.5, 3.0, nan]),
        (Task.REGRESSION, (), [nan, inf, -inf]),
    ],
)
def test_impossible_values_are_set_aside(task, classes, bad):
    """Each with its reason, and never used."""
    signature = Signature(task=task, inputs=INPUTS, classes=classes)
    labels = [label(f"u{place}", MIDNIGHT, value) for place, value in enumerate([*bad, 1.0])]
    predictions = [prediction(place, f"u{place}", MIDNIGHT) for place in range(len(labels))]
    found = joined(predictions, labels, signature=signature)

    assert {f"p{len(bad)}"} == truths(found).keys()
    assert {Refusal.IMPOSSIBLE_VALUE: len(bad)} == reasons(found)


def test_labels_from_the_future_and_of_unknown_predictions_are_set_aside():
    """Known before what it speaks about; recorded before it occurred; about nothing that is in the log."""
    at = MIDNIGHT + timedelta(hours=9)
    as_of = MIDNIGHT + 30 * DAY
    outcomes = [
        outcome(1, {"prediction_id": "nowhere"}, 1.0, at, at),
        outcome(2, {"prediction_id": "p1"}, 1.0, at - DAY, at),
        outcome(3, {"prediction_id": "p1"}, 1.0, as_of + DAY, at),
        outcome(4, {"prediction_id": "p1"}, 1.0, as_of + DAY, as_of + 2 * DAY),
    ]
    labels = [label("a", MIDNIGHT, late=-1), label("a", MIDNIGHT + timedelta(hours=3))]
    found = joined([prediction(1, "a", at)], labels, outcomes, as_of)

    assert {} == truths(found)
    assert {
        Refusal.UNKNOWN_PREDICTION: 1,
        Refusal.FROM_THE_FUTURE: 3,
        Refusal.NO_MIDNIGHT: 1,
    } == reasons(found)


def test_nothing_joins_to_nothing():
    """Empty inputs give empty tables."""
    found = joined([], [])
    assert (0, 0, 0) == (found.labelled.num_rows, found.refused.num_rows, found.superseded)
