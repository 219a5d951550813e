from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contracts.moments import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("48h", 172_800), ("14d", 1_209_600), ("2w", 1_209_600)]
)
def test_durations_read_as_written(text, seconds):
    """A whole number and a unit."""
    assert timedelta(seconds=seconds) == parse_duration(text)


@pytest.mark.parametrize("text", ["14", "d", "1.5h", "-3d", "14 days ago", 14, None])
def test_anything_else_is_refused_with_examples(text):
    """A bare number has no unit to guess."""
    with pytest.raises(ValueError, match="48h, 14d"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**8))
def test_text_round_trips(seconds):
    """Parsing what was printed gives the duration back."""
    assert timedelta(seconds=seconds) == parse_duration(format_duration(timedelta(seconds=seconds)))
