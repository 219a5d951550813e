"""Coalescing: what queued while the batches before were in flight goes out as one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
_Batch = Sequence[tuple[T, Callable[[R | BaseException], None]]]


class Coalescer(Generic[T, R]):
    """A few batches in flight at a time; an item that finds a place among them starts at once."""

    def __init__(
        self,
        run: Callable[[Sequence[T]], Awaitable[Sequence[R | BaseException]]],
        max_batch: int,
        in_flight: int = 1,
    ) -> None:
        """Make an empty queue.

        Args:
            run: answers a batch in its order, an exception for each item that failed.
            max_batch: most items in a batch.
            in_flight: most batches at a time. With two, one is made ready while the other is computed.
        """
        self._run = run
        self._max_batch = max_batch
        self._most = in_flight
        self._queue: deque[tuple[T, Callable[[R | BaseException], None]]] = deque()
        self._running = 0
        self._workers: set[asyncio.Task[None]] = set()
        """The loop itself would let go of them."""

    @property
    def depth(self) -> int:
        """Items that wait for the batches in flight."""
        return len(self._queue)

    @property
    def first(self) -> T | None:
        """The item that waits the longest; None where none does."""
        return self._queue[0][0] if self._queue else None

    def submit(self, item: T, done: Callable[[R | BaseException], None]) -> None:
        """Queue an item; `done` gets its result, or its own failure only, and must not raise."""
        self._queue.append((item, done))
        if self._running < self._most:
            self._running += 1
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    def ask(self, item: T) -> "asyncio.Future[R]":
        """Queue an item; the future gives its result or raises its own failure only."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self.submit(item, lambda result: _settle(future, result))
        return future

    async def _work(self) -> None:
        # Counted here, not when the task is known to have ended: an item queued in between would be left.
        try:
            while self._queue:
                size = min(len(self._queue), self._max_batch)
                await self._run_batch([self._queue.popleft() for _ in range(size)])
        finally:
            self._running -= 1

    async def _run_batch(self, batch: _Batch[T, R]) -> None:
        try:
            results = await self._run([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - handed to every caller of the batch
            results = [error] * len(batch)
        for (_, done), result in zip(batch, results, strict=True):
            done(result)


def _settle(future: "asyncio.Future[R]", result: R | BaseException) -> None:
    if future.done():  # its caller has gone
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)
