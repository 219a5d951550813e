"""Idempotency: a repeated `request_id` gets the first answer, while it is in the window."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from serving.gateway.problems import REQUEST_ID_REUSED, Problem

T = TypeVar("T")


class RequestWindow(Generic[T]):
    """The last answers of this process, in bounded memory; failures are not remembered."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._answers: OrderedDict[Hashable, tuple[str, asyncio.Future[T]]] = OrderedDict()

    async def once(self, key: Hashable, body_sha256: str, answer: Callable[[], Awaitable[T]]) -> T:
        """Return the answer under a key, asking for it once; a repeat in flight waits for the first.

        Raises:
            Problem: 422, the key was used with another body.
        """
        known = self._answers.get(key)
        if known is None:
            return await self._first(key, body_sha256, answer)
        if known[0] != body_sha256:
            raise Problem(REQUEST_ID_REUSED, "use a new request_id for another request")
        return await asyncio.shield(known[1])

    async def _first(self, key: Hashable, body_sha256: str, answer: Callable[[], Awaitable[T]]) -> T:
        future = asyncio.ensure_future(answer())
        self._answers[key] = (body_sha256, future)
        if len(self._answers) > self._size:
            self._answers.popitem(last=False)
        future.add_done_callback(lambda done: self._forget_failure(key, done))
        # A caller that goes away does not take the answer of a repeat with it.
        return await asyncio.shield(future)

    def _forget_failure(self, key: Hashable, future: "asyncio.Future[T]") -> None:
        known = self._answers.get(key)
        if known is not None and known[1] is future and (future.cancelled() or future.exception()):
            del self._answers[key]
