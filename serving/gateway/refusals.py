"""Refusals for want of room, a few a turn of the event loop, so that time is left for answers.

A refusal costs the gateway nearly as much as one answer among many in a batch, and who is refused at once
often asks again at once. Without a bound such callers take all the time there is, and nobody is answered any
more. So a few leave in each turn, in their order: while batches keep the turns long they are a fraction of
the answers, and where there is nothing else to do they leave at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable

A_TURN = 8
"""Most refusals in one turn of the event loop; a batch of answers takes some turns."""


class Refusals:
    """What is to be refused, in its order."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._turn: asyncio.Handle | None = None

    def add(self, refuse: Callable[[], None]) -> None:
        """Refuse when it is its turn, which is never the one that the request was read in."""
        self._waiting.append(refuse)
        if self._turn is None:
            self._next()

    async def turn(self) -> None:
        """Wait until it is the caller's turn to refuse."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.add(lambda: None if future.done() else future.set_result(None))
        await future

    def _next(self) -> None:
        self._turn = asyncio.get_running_loop().call_soon(self._refuse)

    def _refuse(self) -> None:
        for _ in range(min(A_TURN, len(self._waiting))):
            self._waiting.popleft()()
        self._turn = None
        if self._waiting:
            self._next()
