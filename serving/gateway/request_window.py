"""Idempotency: a repeated `request_id` gets the first answer, while it is in the window."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from serving.gateway.problems import REQUEST_ID_REUSED, Problem

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    body_sha256: str
    entities: int
    answer: "asyncio.Future[T]"


class RequestWindow(Generic[T]):
    """The last answers of this process, in bounded memory; failures are not remembered."""

    def __init__(self, size: int, is_final: Callable[[T], bool]) -> None:
        """Make an empty window.

        Args:
            size: entities whose answers are remembered.
            is_final: whether a repeat gets this answer; one with failures in it is worth another try.
        """
        self._size = size
        self._is_final = is_final
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()
        self._entities = 0

    async def once(
        self, key: Hashable, body_sha256: str, entities: int, answer: Callable[[], Awaitable[T]]
    ) -> T:
        """Return the answer under a key, asking for it once; a repeat in flight waits for the first.

        Raises:
            Problem: 422, the key was used with another body.
        """
        known = self._entries.get(key)
        if known is None:
            return await self._first(key, body_sha256, entities, answer)
        if known.body_sha256 != body_sha256:
            raise Problem(REQUEST_ID_REUSED, "use a new request_id for another request")
        return await asyncio.shield(known.answer)

    async def _first(
        self, key: Hashable, body_sha256: str, entities: int, answer: Callable[[], Awaitable[T]]
    ) -> T:
        future = asyncio.ensure_future(answer())
        entry = self._entries[key] = _Entry(body_sha256, entities, future)
        self._entities += entities
        while self._entities > self._size and len(self._entries) > 1:
            self._forget(next(iter(self._entries)))
        future.add_done_callback(lambda _: self._forget_failure(key, entry))
        # A caller that goes away does not take the answer of a repeat with it.
        return await asyncio.shield(future)

    def _forget(self, key: Hashable) -> None:
        self._entities -= self._entries.pop(key).entities

    def _forget_failure(self, key: Hashable, entry: _Entry[T]) -> None:
        answer = entry.answer
        failed = answer.cancelled() or answer.exception() or not self._is_final(answer.result())
        if failed and self._entries.get(key) is entry:
            self._forget(key)
