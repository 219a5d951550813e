import io
import math
from datetime import UTC, datetime, timedelta
from typing import get_args

import msgspec
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.adapters.prediction_parquet import (
    EXACT,
    ROW_GROUP_ROWS,
    find,
    from_table,
    read,
    read_backwards,
    schema,
    to_table,
    write,
)
from include.contracts.identifiers import uuid7
from include.contracts.predictions import FallbackReason, FeatureValue, PredictionRow, Source, Status
from tests.adapters.test_prediction_log import MOMENT, row

TEXT = st.text(max_size=5)
NUMBERS = st.floats() | st.integers(-(2**63), 2**64 - 1)
VALUES = NUMBERS | TEXT | st.booleans() | st.none()
MOMENTS = st.datetimes(*map(datetime.fromisoformat, ("1970-01-01", "2200-01-01")), timezones=st.just(UTC))
MAYBE = TEXT | st.none()


@st.composite
def rows(draw) -> PredictionRow:
    """Any row there can be."""
    predicted_at = draw(MOMENTS)
    return row(
        predicted_at,
        request_id=draw(MAYBE),
        entity=draw(st.dictionaries(TEXT, st.integers(-(2**63), 2**64 - 1) | TEXT, max_size=2)),
        features=draw(st.dictionaries(TEXT, VALUES, max_size=4)),
        feature_timestamps=draw(st.dictionaries(TEXT, MOMENTS | st.none(), max_size=2)),
        request_features=draw(st.dictionaries(TEXT, VALUES, max_size=2)),
        outputs=draw(st.none() | st.lists(st.floats(), max_size=3).map(tuple)),
        bucket=draw(st.none() | st.floats()),
        recorded_at=draw(MOMENTS),
        status=draw(st.sampled_from(Status)),
        source=draw(st.sampled_from(Source)),
        fallback_reason=draw(st.none() | st.sampled_from(FallbackReason)),
        error=draw(MAYBE),
    )


def as_logged(items: list[PredictionRow]) -> list[bytes]:
    """Return rows as bytes, so that a NaN equals itself and 1 is not 1.0."""
    return [msgspec.msgpack.encode(item) for item in items]


@settings(deadline=None, max_examples=50)
@given(items=st.lists(rows(), max_size=4))
def test_every_row_comes_back_as_it_was(items):
    """To the bit: NaN, infinities, integers beyond 2**53, an empty mapping, none at all; sorted by id."""
    ordered = sorted(items, key=lambda item: item.prediction_id)
    content = write(to_table(items))

    assert as_logged(ordered) == as_logged(list(read(io.BytesIO(content))))
    assert as_logged(ordered[::-1]) == as_logged(list(read_backwards(io.BytesIO(content))))
    assert content == write(to_table(items[::-1]))


def test_only_rows_that_json_cannot_hold_are_kept_twice():
    """A finite row's `exact` is empty."""
    table = to_table([row(), row(features={"x": math.nan}), row(request_features={"x": math.inf})])

    assert [False, True, True] == [value is not None for value in table[EXACT].to_pylist()]
    assert float in get_args(FeatureValue)


def test_a_file_of_fewer_columns_is_read():
    """What was written before a field was added has the field's default."""
    table = to_table([row(error="why")]).drop_columns(["error"])

    assert [None] == [item.error for item in from_table(table)]
    assert set(PredictionRow.__struct_fields__) | {EXACT} == set(schema().names)


class Counting(io.BytesIO):
    """A file that counts what is read of it."""

    bytes_read = 0

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        self.bytes_read += len(content)
        return content


@pytest.mark.parametrize("place", [0, 1, ROW_GROUP_ROWS - 1, ROW_GROUP_ROWS, 8 * ROW_GROUP_ROWS - 1])
def test_a_row_is_found_without_reading_the_others(place):
    """One row group of the file is read; an id that is not there gives nothing."""
    items = [
        row(MOMENT + timedelta(milliseconds=number), unit=str(number), error=uuid7(MOMENT) * 5)
        for number in range(8 * ROW_GROUP_ROWS)
    ]
    content = write(to_table(items))
    file = Counting(content)

    assert [items[place]] == list(find(file, [items[place].prediction_id]))
    assert file.bytes_read < 0.3 * len(content)
    assert [] == list(find(io.BytesIO(content), [uuid7(MOMENT)]))


def test_a_flipped_bit_is_noticed():
    """Every page carries a checksum."""
    content = bytearray(write(to_table([row(error="x" * 100)])))
    content[200] ^= 1

    with pytest.raises((OSError, pyarrow.ArrowException)):
        list(read(io.BytesIO(bytes(content))))
