"""Coalescing: what queued while the last batch was in flight goes out as one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Coalescer(Generic[T, R]):
    """One batch in flight at a time; an item that finds none in flight starts at once."""

    def __init__(
        self, run: Callable[[Sequence[T]], Awaitable[Sequence[R | BaseException]]], max_batch: int
    ) -> None:
        """Args: run: answers a batch in its order, an exception for each item that failed."""
        self._run = run
        self._max_batch = max_batch
        self._queue: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    @property
    def depth(self) -> int:
        """Items that wait for the batch in flight."""
        return len(self._queue)

    def submit(self, item: T) -> "asyncio.Future[R]":
        """Queue an item; the future gives its result or raises its own failure only."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._queue.append((item, future))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return future

    async def _work(self) -> None:
        try:
            while self._queue:
                size = min(len(self._queue), self._max_batch)
                await self._run_batch([self._queue.popleft() for _ in range(size)])
        finally:
            self._worker = None

    async def _run_batch(self, batch: Sequence[tuple[T, "asyncio.Future[R]"]]) -> None:
        results: Sequence[R | BaseException]
        try:
            results = await self._run([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - handed to every caller of the batch
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():  # its caller has gone
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)
