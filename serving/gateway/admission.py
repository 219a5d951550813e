"""Admission: a queue bounded in length and in time; what would not fit is refused before its body is read."""

from collections.abc import Callable
from logging import getLogger
from time import monotonic

from serving.gateway.problems import OVERLOADED, Problem
from serving.gateway.telemetry import Telemetry

TELL_SECONDS = 1.0
"""Shedding is logged at most so often, not for each request."""

_log = getLogger(__name__)


class Admission:
    """Lets entities of one model in while there is room."""

    def __init__(
        self,
        model: str,
        waiting: Callable[[], int],
        oldest: Callable[[], float],
        telemetry: Telemetry,
        *,
        most: int,
        longest: float,
    ) -> None:
        """Make it.

        Args:
            model: whose queue it is.
            waiting: how many entities wait.
            oldest: when the first of them arrived, on the monotonic clock.
            telemetry: counts what is refused.
            most: entities that may wait.
            longest: seconds that the first of them may have waited while others are let in.
        """
        self._model = model
        self._most = most
        self._longest = longest
        self._waiting = waiting
        self._oldest = oldest
        self._telemetry = telemetry
        self._told_at = -TELL_SECONDS

    def check(self, entities: int = 1) -> None:
        """Let so many in; an empty queue takes any number.

        Raises:
            Problem: 503, there is no room, or whoever comes now would be answered too late.
        """
        waiting = self._waiting()
        if waiting and (waiting + entities > self._most or monotonic() - self._oldest() > self._longest):
            self._telemetry.shed.add(self._model)
            self._tell(waiting)
            raise Problem(OVERLOADED, "too many requests wait for this model")

    def _tell(self, waiting: int) -> None:
        now = monotonic()
        if now - self._told_at >= TELL_SECONDS:
            self._told_at = now
            fields = {"model": self._model, "waiting": waiting}
            _log.warning("requests are refused: the queue is full", extra={"fields": fields})
