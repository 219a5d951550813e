"""A circuit breaker for one version: while it fails too often, it is not asked."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from serving.gateway.call_window import CallWindow


class BreakerState(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True)
class BreakerPolicy:
    """When a breaker opens, and how it closes again."""

    failure_share: float = 0.5
    """Share of entities the version failed for that opens."""
    minimum_entities: int = 20
    """Fewest entities of the window by which that share is judged."""
    window_seconds: float = 10.0
    pause_seconds: float = 5.0
    """How long nothing is asked."""
    trials: int = 5
    """Entities asked after the pause; when all are answered it closes, when one is not it opens again."""


class Breaker:
    """The state of one breaker; the caller brings the time, monotonic seconds.

    Every entity that `admit` let through is to be given back, once, to `record`.
    """

    def __init__(self, policy: BreakerPolicy, on_change: Callable[[BreakerState], None]) -> None:
        """Make a closed breaker; `on_change` is told every state it comes to."""
        self._policy = policy
        self._on_change = on_change
        self._window = CallWindow(policy.window_seconds)
        self._changed_at = 0.0
        self._trials_left = 0
        self._trials_right = 0
        self.state = BreakerState.CLOSED

    def admit(self, entities: int, now: float) -> int:
        """Return how many of so many entities the version may be asked for."""
        if self.state is BreakerState.CLOSED:
            return entities
        if now - self._changed_at >= self._policy.pause_seconds:
            # Half-open for so long, its trials were lost: it tries anew.
            self._trials_left, self._trials_right = self._policy.trials, 0
            self._change(BreakerState.HALF_OPEN, now)
        if self.state is BreakerState.OPEN:
            return 0
        admitted = min(entities, self._trials_left)
        self._trials_left -= admitted
        return admitted

    def record(self, now: float, *, answered: int = 0, failed: int = 0, undecided: int = 0) -> None:
        """Note what became of admitted entities; `undecided` says nothing about the version."""
        if self.state is BreakerState.CLOSED:
            self._window.record(now, calls=answered + failed, failures=failed)
            calls, failures = self._window.totals(now)
            if failed and calls >= self._policy.minimum_entities:
                self._open_if(failures >= self._policy.failure_share * calls, now)
        elif self.state is BreakerState.HALF_OPEN:
            self._trials_left = min(self._trials_left + undecided, self._policy.trials)
            self._trials_right += answered
            self._open_if(failed > 0, now)
            if self.state is BreakerState.HALF_OPEN and self._trials_right >= self._policy.trials:
                self._change(BreakerState.CLOSED, now)

    def _open_if(self, failing: bool, now: float) -> None:
        if failing:
            self._window.clear()
            self._change(BreakerState.OPEN, now)

    def _change(self, state: BreakerState, now: float) -> None:
        self._changed_at = now
        if state is not self.state:
            self.state = state
            self._on_change(state)
