"""Windows of time a model learns from and is judged on: by time, never at random."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.contracts.errors import ContractError
from include.contracts.model import Label, Training
from include.contracts.moments import format_duration


@dataclass(frozen=True)
class Window:
    """A span of time; a row lies in it if its event and the whole of its label do.

    Labels are looked forward to, so a row whose event lies before `end` may still carry what
    happened after it. Such rows belong to no window: that is the purge between windows.
    """

    start: datetime
    end: datetime

    def contains(self, event_at: datetime, known_at: datetime) -> bool:
        """Say whether the event lies in [start, end) and its label was known by `end`."""
        return self.start <= event_at < self.end and known_at <= self.end

    def __str__(self) -> str:
        """Return `2017-08-09 to 2017-09-20`."""
        return f"{self.start.date()} to {self.end.date()}"


@dataclass(frozen=True)
class Windows:
    """Training, validation and test, one after the other; each ends where the next one starts."""

    train: Window
    validation: Window
    test: Window


def frozen_moments(moments: Iterable[datetime], every: timedelta) -> frozenset[datetime]:
    """Return the moments a training set holds: those whole steps before the last one."""
    known = frozenset(moments)
    last = max(known, default=None)
    return frozenset(moment for moment in known if last and (last - moment) % every == timedelta())


def training_windows(training: Training, label: Label, as_of: datetime) -> Windows:
    """Return the windows of a training run, counted back from `as_of`.

    The events of validation and test span the contract's lengths, and each window is longer than
    that by the label's delay, so that no label reaches into the window after it.

    Raises:
        ContractError: the history is too short to hold all three.
    """
    test = Window(as_of - label.delay - training.test, as_of)
    validation = Window(test.start - label.delay - training.validation, test.start)
    train = Window(as_of - training.history, validation.start)
    if train.end - train.start <= label.delay:
        needed = as_of - train.end + label.delay
        raise ContractError(
            f"training.history is {format_duration(training.history)}, but test, validation and their labels "
            f"leave no training row before {train.end.date()}; it must exceed {format_duration(needed)}"
        )
    return Windows(train, validation, test)
