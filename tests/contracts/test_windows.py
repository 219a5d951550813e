from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contracts.errors import ContractError
from include.contracts.model import Label, Training
from include.contracts.windows import Window, training_windows

AS_OF = datetime(2017, 11, 1, tzinfo=UTC)
DAYS = st.integers(1, 60)


def windows_of(history=270, validation=28, test=28, delay=14):
    """Return the windows of a training run with lengths in days."""
    training = Training(
        history=f"{history}d", snapshot_every="7d", validation=f"{validation}d", test=f"{test}d"
    )
    return training_windows(training, Label(description="a label", delay=f"{delay}d"), AS_OF)


def test_windows_count_back_from_as_of():
    """28 days of events and 14 of their labels each: test from 20 September, validation from 9 August."""
    found = windows_of()
    assert datetime(2017, 9, 20, tzinfo=UTC) == found.test.start
    assert datetime(2017, 8, 9, tzinfo=UTC) == found.validation.start
    assert (found.validation.start, found.test.start, AS_OF) == (
        found.train.end,
        found.validation.end,
        found.test.end,
    )


@given(
    validation=DAYS,
    test=DAYS,
    delay=st.integers(0, 30),
    event=st.integers(0, 24 * 400),
    late=st.integers(0, 24 * 40),
)
def test_no_row_knows_the_window_after_its_own(validation, test, delay, event, late):
    """Whenever a label becomes known, a row lies in one window at most and its label ends inside it."""
    windows = windows_of(400, validation, test, delay)
    event_at = AS_OF - timedelta(hours=event)
    known_at = event_at + timedelta(hours=late)
    ordered = (windows.train, windows.validation, windows.test)
    holding = [window for window in ordered if window.contains(event_at, known_at)]
    assert len(holding) <= 1
    for window in holding:
        later = ordered[ordered.index(window) + 1 :]
        assert all(known_at <= after.start for after in later)
        assert known_at <= AS_OF


def test_the_label_may_be_known_at_the_very_end():
    """A label known exactly as of the moment is usable; one known a second later is not."""
    window = Window(AS_OF - timedelta(days=28), AS_OF)
    event_at = AS_OF - timedelta(days=14)
    assert window.contains(event_at, AS_OF)
    assert not window.contains(event_at, AS_OF + timedelta(seconds=1))


def test_a_history_too_short_is_refused():
    """28 + 14 + 28 + 14 days go to test and validation, 14 more to the last training label."""
    with pytest.raises(ContractError, match="it must exceed 98d"):
        windows_of(history=98)
    assert windows_of(history=99).train.start < windows_of(history=99).train.end
