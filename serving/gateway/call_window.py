"""Calls and failures of the last seconds, in bounded memory."""

from collections import deque
from dataclasses import dataclass

_SLICES = 10


@dataclass(slots=True)
class _Slice:
    number: int
    calls: int = 0
    failures: int = 0


class CallWindow:
    """Counts that forget: a call leaves them after `seconds`, give or take a tenth.

    The caller brings the time, monotonic seconds that never go back.
    """

    def __init__(self, seconds: float) -> None:
        self._slice_seconds = seconds / _SLICES
        self._slices: deque[_Slice] = deque()
        self._calls = 0
        self._failures = 0

    def record(self, now: float, *, calls: int, failures: int) -> None:
        """Count calls, and how many of them failed."""
        number = self._forget(now)
        if not self._slices or self._slices[-1].number != number:
            self._slices.append(_Slice(number))
        self._slices[-1].calls += calls
        self._slices[-1].failures += failures
        self._calls += calls
        self._failures += failures

    def totals(self, now: float) -> tuple[int, int]:
        """Return calls and failures."""
        self._forget(now)
        return self._calls, self._failures

    def clear(self) -> None:
        """Forget everything."""
        self._slices.clear()
        self._calls = self._failures = 0

    def _forget(self, now: float) -> int:
        number = int(now / self._slice_seconds)
        while self._slices and self._slices[0].number <= number - _SLICES:
            old = self._slices.popleft()
            self._calls -= old.calls
            self._failures -= old.failures
        return number
