import numpy as np
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from include.contracts.signatures import FeatureInput, FeatureKind, Signature, Task
from include.monitoring.samples import misfits, sample
from include.monitoring.shifts import KS, MISSING, OUT_OF_RANGE, PSI, UNSEEN, Shift, input_shifts

NUMBER = FeatureInput(name="number", kind=FeatureKind.NUMERIC, view="v", minimum=0)
WORD = FeatureInput(name="word", kind=FeatureKind.CATEGORICAL, view="v")
BOTH = Signature(task=Task.BINARY, inputs=(NUMBER, WORD))
NUMBERS = some.one_of(some.none(), some.just(float("nan")), some.integers(-3, 9).map(float))
ROWS = some.lists(some.tuples(NUMBERS, some.sampled_from([None, "", "a", "b", "c"])), min_size=2, max_size=50)


def table(rows: list[tuple[float | None, str | None]]) -> pyarrow.Table:
    """Return rows as a table."""
    numbers, words = (list(column) for column in zip(*rows, strict=True))
    return pyarrow.table(
        {"number": pyarrow.array(numbers, pyarrow.float64()), "word": pyarrow.array(words, pyarrow.string())}
    )


def by_metric(shifts: list[Shift]) -> dict[tuple[str, str], Shift]:
    """Return shifts by subject and metric."""
    return {(each.subject, each.metric): each for each in shifts}


def widest_gap(some_numbers: list[float], others: list[float]) -> float:
    """Return the largest distance between two empirical distribution functions, value by value."""

    def below(numbers: list[float], value: float) -> float:
        return sum(number <= value for number in numbers) / len(numbers)

    return max(abs(below(some_numbers, value) - below(others, value)) for value in some_numbers + others)


@settings(max_examples=60, deadline=None)
@given(ROWS, ROWS)
def test_figures_equal_those_computed_the_long_way(was, now):
    """Whatever is missing, tied or empty: distance, ratios and unseen categories are counted right."""
    found = by_metric(input_shifts(sample(table(was)), sample(table(now)), BOTH))
    numbers = [[n for n, _ in rows if n is not None and not np.isnan(n)] for rows in (was, now)]
    words = [[w for _, w in rows if w] for rows in (was, now)]
    distance = found["number", KS]
    if all(numbers):
        assert distance.value == pytest.approx(widest_gap(*numbers), abs=1e-12)
        below = sum(n < 0 or n > max(numbers[0]) for n in numbers[1]) / len(numbers[1])
        assert found["number", OUT_OF_RANGE].value == pytest.approx(below)
    else:
        assert distance.value is None
    assert found["number", MISSING].value == pytest.approx(1 - len(numbers[1]) / len(now))
    assert found["word", MISSING].value == pytest.approx(1 - len(words[1]) / len(now))
    if all(words):
        unseen = sum(w not in words[0] for w in words[1]) / len(words[1])
        assert found["word", UNSEEN].value == pytest.approx(unseen)
    else:
        assert found["word", PSI].value is None


def test_only_the_rows_that_are_independent_count():
    """A thousand rows of two units are two witnesses, for every figure."""
    once = [(float(n), "a") for n in range(100)]
    units = pyarrow.chunked_array([["x", "y"] * 500])
    repeated = sample(table(once * 10), units)
    assert (1_000, 2.0) == (repeated.rows, pytest.approx(repeated.independent))
    found = by_metric(input_shifts(sample(table(once)), repeated, BOTH))
    assert all(each.independent == pytest.approx(2.0) for each in found.values())


def test_what_a_table_cannot_give_is_named():
    """Each input with what is wrong; dictionaries and whole numbers are fine."""
    fits = pyarrow.table({"number": [1, 2], "word": pyarrow.array(["a", "b"]).dictionary_encode()})
    assert [] == list(misfits(fits, BOTH))
    wrong = pyarrow.table({"number": ["1", "2"]})
    assert [("number", "has string, the model reads it as numeric"), ("word", "has no such column")] == list(
        misfits(wrong, BOTH)
    )


def test_whole_numbers_and_dictionaries_are_read():
    """Types that fit are counted as what they say."""
    rows = pyarrow.table({"number": [3, 1, 2], "word": pyarrow.array(["a", "b", "a"]).dictionary_encode()})
    read = sample(rows)
    assert [1.0, 2.0, 3.0] == read.column(NUMBER).values.tolist()
    assert {"a": 2, "b": 1} == dict(read.column(WORD).counts)


def test_infinities_lie_at_the_ends():
    """They are no missing values, and out of any range."""
    rows = table([(np.inf, "a"), (1.0, "a")])
    found = by_metric(input_shifts(sample(table([(1.0, "a"), (2.0, "a")])), sample(rows), BOTH))
    assert (0.0, 0.5) == (found["number", MISSING].value, found["number", OUT_OF_RANGE].value)
