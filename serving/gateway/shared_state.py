"""What several gateways share, behind a switch: without it each goes on by itself."""

from collections.abc import Awaitable, Callable
from logging import getLogger
from time import monotonic
from typing import TypeVar

from include.adapters.coordination import Coordination
from include.config.settings import Settings
from include.contracts.errors import CoordinationError
from serving.gateway.telemetry import Telemetry

RETRY_SECONDS = 1.0
"""How long a server that failed is left alone: requests wait for it at most once in this time."""

CLAIM_DEADLINES = 3
"""Deadlines after which the claim on a request lapses whose gateway does not answer."""

_log = getLogger(__name__)
T = TypeVar("T")


class SharedState:
    """Calls of the coordination; a failure is counted, told of once a change, and is no caller's failure."""

    def __init__(self, coordination: Coordination, telemetry: Telemetry) -> None:
        self._coordination = coordination
        self._telemetry = telemetry
        self._is_reachable = True
        self._left_alone_until = 0.0

    async def attempt(self, call: Callable[[Coordination], Awaitable[T]]) -> T | None:
        """Return what a call answers; None while the server is away."""
        if monotonic() < self._left_alone_until:
            self._telemetry.coordination_misses.inc()
            return None
        try:
            answer = await call(self._coordination)
        except CoordinationError as error:
            self._left_alone_until = monotonic() + RETRY_SECONDS
            self._telemetry.coordination_misses.inc()
            self._note(reachable=False, error=str(error))
            return None
        self._note(reachable=True)
        return answer

    async def close(self) -> None:
        """Close the connection."""
        await self._coordination.close()

    def _note(self, *, reachable: bool, error: str | None = None) -> None:
        if reachable != self._is_reachable:
            message = "coordination is back" if reachable else "coordination is away; this gateway is alone"
            _log.warning(message, extra={"fields": {"error": error} if error else {}})
        self._is_reachable = reachable


def shared_state(settings: Settings, telemetry: Telemetry) -> SharedState | None:
    """Return what several gateways share; None where there is one alone.

    Raises:
        PlatformError: the coordination's URL is wrong.
    """
    if not settings.coordination_url:
        return None
    window, claim = settings.request_window_seconds, CLAIM_DEADLINES * settings.deadline_seconds
    return SharedState(Coordination(settings.coordination_url, window, claim), telemetry)
