"""Refusals for want of room, at a rate that leaves time for answers.

Who is refused at once often asks again at once. Without a bound a crowd of such callers takes all the time
there is, and nobody is answered any more. So refusals go out in their order at a limited rate; below it each
leaves at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic

A_SECOND = 2_000
"""Most refusals in a second: about an eighth of the time of one core."""
AT_ONCE = 50
"""Most of them without a pause."""
_PAUSE_SECONDS = 0.005


class Refusals:
    """What is to be refused, in its order."""

    def __init__(self, rate: float = A_SECOND) -> None:
        self._rate = rate
        self._waiting: deque[Callable[[], None]] = deque()
        self._left = float(AT_ONCE)
        self._filled_at = 0.0
        self._turn: asyncio.Handle | None = None

    @property
    def waiting(self) -> int:
        """Refusals that have not left yet."""
        return len(self._waiting)

    def add(self, refuse: Callable[[], None]) -> None:
        """Refuse when it is its turn: once what the event loop has at hand is done, at the earliest."""
        self._waiting.append(refuse)
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._refuse)

    async def turn(self) -> None:
        """Wait until it is the caller's turn to refuse."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.add(lambda: None if future.done() else future.set_result(None))
        await future

    def _refuse(self) -> None:
        now = monotonic()
        self._left = min(AT_ONCE, self._left + self._rate * (now - self._filled_at))
        self._filled_at = now
        while self._waiting and self._left >= 1:
            self._left -= 1
            self._waiting.popleft()()
        self._turn = None
        if self._waiting:
            self._turn = asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._refuse)
