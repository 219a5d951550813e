"""Progress people can watch: numbered steps, what happens inside each, and how long it took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Progress:
    """Prints steps as they begin and end; `total` is how many there will be."""

    total: int
    _started: float = field(default_factory=time.monotonic)
    _number: int = 0
    durations: dict[str, float] = field(default_factory=dict)
    """Seconds each finished step took, by its title."""

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce a step, and its duration once it is done."""
        self._number += 1
        self._print(f"[{self._number}/{self.total}] {title} …")
        began = time.monotonic()
        yield
        self.durations[title] = time.monotonic() - began
        self._print(f"[{self._number}/{self.total}] {title}: done in {self.durations[title]:.1f} s")

    def say(self, text: str) -> None:
        """Print a line inside the current step."""
        for line in text.splitlines():
            self._print(f"      {line}")

    def elapsed(self) -> float:
        """Return the seconds since the first step could begin."""
        return time.monotonic() - self._started

    def _print(self, line: str) -> None:
        print(f"{self.elapsed():6.1f}s {line}")
        sys.stdout.flush()
