"""Moments and durations in words."""

from datetime import UTC, datetime, timedelta

import pytest

from include.pages.moments import NOTHING, ago, duration

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, NOTHING),
        (0, "0 s"),
        (59.6, "1 min"),
        (3_725, "1 h 2 min"),
        (86_400, "1 d"),
        (90_000, "1 d 1 h"),
        (86_430, "1 d"),
        (172_800 + 7_260, "2 d 2 h"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds, words):
    """The two largest, and none in between left out."""
    assert words == duration(seconds)


def test_what_lies_ahead_is_not_ago():
    """Both directions, and nothing."""
    assert "5 min ago" == ago(NOW - timedelta(minutes=5), NOW)
    assert "in 2 h" == ago(NOW + timedelta(hours=2), NOW)
    assert NOTHING == ago(None, NOW)
