"""Which of several Tritons is asked: power of two choices, outlier ejection, half-open probes.

Decisions only: the caller brings the time (monotonic seconds) and the chance, makes the calls and the probes,
and says how they ended.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from serving.gateway.call_window import CallWindow

Pick = Callable[[Sequence[str], int], list[str]]
"""Picks so many different endpoints at random, as `random.sample`."""

_UNKNOWN = float("inf")


@dataclass(frozen=True)
class EjectionPolicy:
    """When an endpoint is left out, and for how long."""

    consecutive_failures: int = 3
    """Calls without an answer, one after the other, that eject."""
    failure_share: float = 0.5
    """Share of failed calls, the model's errors included, that ejects where others fail half as often."""
    minimum_calls: int = 20
    """Fewest calls of the window by which that share is judged."""
    window_seconds: float = 10.0
    ejection_seconds: float = 1.0
    """How long the first ejection lasts; each that follows takes twice as long."""
    longest_ejection_seconds: float = 10.0
    forgiven_after_seconds: float = 60.0
    """After so long without an ejection the next one is a first one again."""
    patience: float = 8.0
    """A call is given up for another endpoint after so many times the slowest of the recent ones."""
    least_try_seconds: float = 0.05
    """No call is given up earlier."""


@dataclass(slots=True)
class _Replica:
    """What is known of one endpoint."""

    window: CallWindow
    failures_in_a_row: int = 0
    ejections: int = 0
    ejected_until: float | None = None
    """None while it is admitted."""
    changed_at: float = 0.0
    """When it was last ejected or readmitted."""
    failed_at: float = field(default=-_UNKNOWN)


class EndpointPool:
    """The endpoints of one version of a model.

    One is ejected after failures in a row, or where it fails far more often than the others; it comes back
    only with a right answer to a probe. While all are ejected, the one that failed the longest ago is asked.
    """

    def __init__(
        self, endpoints: Sequence[str], in_flight: Counter[str], policy: EjectionPolicy, pick: Pick
    ) -> None:
        """Make a pool that admits all.

        Args:
            endpoints: their addresses.
            in_flight: calls under way by endpoint, shared by the pools of all versions.
            policy: when to eject.
            pick: where chance decides.
        """
        self.endpoints = tuple(endpoints)
        self._in_flight = in_flight
        self._policy = policy
        self._pick = pick
        self._replicas = {name: self._replica() for name in endpoints}
        self._slowest = _UNKNOWN

    def choose(self, tried: Collection[str] = ()) -> str | None:
        """Return the endpoint to ask: of two admitted ones, that with fewer calls in flight.

        Args:
            tried: those not to ask again.

        Returns:
            None where all were tried.
        """
        left = [name for name in self.endpoints if name not in tried]
        admitted = [name for name in left if self._replicas[name].ejected_until is None]
        if not admitted:
            return min(left, key=lambda name: self._replicas[name].failed_at, default=None)
        pair = self._pick(admitted, 2) if len(admitted) > 1 else admitted
        return min(pair, key=self._in_flight.__getitem__)

    def try_seconds(self, left: float, tried: Collection[str]) -> float:
        """Return how long a call may take, so that in the time left another admitted one can be asked."""
        others = (self._replicas[name] for name in self.endpoints if name not in tried)
        if all(other.ejected_until is not None for other in others):
            return left
        patient = max(self._policy.least_try_seconds, self._policy.patience * self._slowest)
        return min(left / 2, patient)

    def began(self, endpoint: str) -> None:
        """Note a call."""
        self._in_flight[endpoint] += 1

    def ended(self, endpoint: str) -> None:
        """Note that a call is over, however it went."""
        self._in_flight[endpoint] -= 1

    def answered(self, endpoint: str, now: float, seconds: float) -> None:
        """Note an answer and how long it took."""
        replica = self._replicas[endpoint]
        replica.failures_in_a_row = 0
        replica.window.record(now, calls=1, failures=0)
        decayed = 0.0 if self._slowest == _UNKNOWN else self._slowest * 0.99
        self._slowest = max(seconds, decayed)

    def timed_out(self, endpoint: str, now: float, waited_seconds: float) -> bool:
        """Note a call that was not answered in time; say whether that ejected the endpoint.

        That there was hardly any time left is no fault of the endpoint.
        """
        return waited_seconds >= self._policy.least_try_seconds and self.went_silent(endpoint, now)

    def went_silent(self, endpoint: str, now: float) -> bool:
        """Note a call that nobody answered; say whether that ejected the endpoint."""
        replica = self._replicas[endpoint]
        replica.failures_in_a_row += 1
        replica.failed_at = now
        replica.window.record(now, calls=1, failures=1)
        too_many = replica.failures_in_a_row >= self._policy.consecutive_failures
        return (too_many or self._is_outlier(endpoint, now)) and self._eject(replica, now)

    def answered_with_error(self, endpoint: str, now: float) -> bool:
        """Note an error of the model; say whether that ejected the endpoint.

        A bad row fails everywhere, so only failing more often than the others counts.
        """
        replica = self._replicas[endpoint]
        replica.failures_in_a_row = 0
        replica.window.record(now, calls=1, failures=1)
        return self._is_outlier(endpoint, now) and self._eject(replica, now)

    def answered_wrongly(self, endpoint: str, now: float) -> bool:
        """Note golden predictions that came back wrong; say whether that ejected the endpoint."""
        return self._eject(self._replicas[endpoint], now)

    def probed(self, endpoint: str, now: float, *, is_right: bool) -> None:
        """Note a probe: a right answer readmits, anything else ejects, for longer each time."""
        replica = self._replicas[endpoint]
        if is_right:
            replica.window.clear()
            replica.failures_in_a_row = 0
            replica.ejected_until, replica.changed_at = None, now
            return
        replica.ejected_until = None
        self._eject(replica, now)

    def probe_at(self, endpoint: str) -> float | None:
        """Return when an ejected endpoint is to be probed; None while it is admitted."""
        return self._replicas[endpoint].ejected_until

    def _replica(self) -> _Replica:
        return _Replica(CallWindow(self._policy.window_seconds))

    def _eject(self, replica: _Replica, now: float) -> bool:
        """Leave an endpoint out; one that is out already stays so."""
        policy = self._policy
        if replica.ejected_until is not None:
            return False
        if now - replica.changed_at >= policy.forgiven_after_seconds:
            replica.ejections = 0
        seconds = policy.ejection_seconds * 2.0 ** min(replica.ejections, 30)
        replica.ejections += 1
        replica.ejected_until = now + min(seconds, policy.longest_ejection_seconds)
        replica.changed_at = replica.failed_at = now
        return True

    def _is_outlier(self, endpoint: str, now: float) -> bool:
        calls, failures = self._replicas[endpoint].window.totals(now)
        if calls < self._policy.minimum_calls or failures < self._policy.failure_share * calls:
            return False
        others = [self._replicas[name].window.totals(now) for name in self.endpoints if name != endpoint]
        other_calls = sum(calls for calls, _ in others)
        other_failures = sum(failures for _, failures in others)
        return other_calls > 0 and other_failures / other_calls <= failures / calls / 2
