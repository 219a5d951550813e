"""Idempotency: a repeated `request_id` gets the first answer, while it is in the window."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from time import monotonic
from typing import Generic, NamedTuple, Protocol, TypeVar

from serving.gateway.problems import REQUEST_ID_REUSED, Problem

WAIT_SECONDS = 0.02
"""How long a request waits before it asks again whether another gateway has answered it."""

R = TypeVar("R")
"""An entity's answer; for the window it is opaque."""


class Identity(NamedTuple):
    """What makes two requests the same one: their bodies must be, too."""

    key_id: str
    model: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Remembered(Generic[R]):
    """A request of before this process, as the log tells of it."""

    identity: Identity
    body_sha256: str
    parts: Sequence[R | None]
    """By entity; None where it has no final answer."""
    age_seconds: float


class Whose(Enum):
    """Who answers a request."""

    OURS = auto()
    """This gateway, as far as there is no answer yet."""
    BUSY = auto()
    """Another gateway, at this moment."""
    ANSWERED = auto()
    """Nobody any more: all its answers are known."""
    UNKNOWN = auto()
    """Nobody can tell; each gateway that is asked."""


class Claims(Protocol[R]):
    """Who answers a request where several gateways may be asked."""

    async def claim(self, identity: Identity, body_sha256: str) -> tuple[Whose, Sequence[R | None]]:
        """Claim a request; return whose it is, and what is known of its answers, empty if nothing.

        Raises:
            Problem: 422, the id was used with another body.
        """

    async def keep(self, identity: Identity, parts: Sequence[R | None]) -> None:
        """Keep the answers of a request that was claimed, and give it back unless they are complete."""


@dataclass(slots=True)
class _Entry(Generic[R]):
    body_sha256: str
    until: float
    parts: list[R | None]
    is_agreed: bool
    """Whether the id is this body's everywhere; until then another gateway may know better."""
    is_settled: bool = False
    answering: "asyncio.Future[list[R]] | None" = None


class RequestWindow(Generic[R]):
    """The answers of the last minutes, in bounded memory; an entity's failure is not remembered."""

    def __init__(
        self,
        size: int,
        seconds: float,
        is_final: Callable[[R], bool],
        claims: Claims[R] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Make an empty window.

        Args:
            size: entities whose answers are remembered; the oldest requests are forgotten first.
            seconds: how long a request is remembered.
            is_final: whether a repeat gets an entity's answer; a failure is worth another try.
            claims: settles who answers among several gateways; None where there is one.
            clock: monotonic seconds.
        """
        self._size = size
        self._seconds = seconds
        self._is_final = is_final
        self._claims = claims
        self._clock = clock
        self._entries: OrderedDict[Identity, _Entry[R]] = OrderedDict()
        self._entities = 0

    async def once(
        self,
        identity: Identity,
        body_sha256: str,
        entities: int,
        ask: Callable[[Sequence[int]], Awaitable[Sequence[R]]],
    ) -> Sequence[R]:
        """Return an answer for each entity of a request; a repeat in flight waits for the first.

        Args:
            identity: of the request.
            body_sha256: hash of its body.
            entities: how many there are in it.
            ask: answers the entities at these places; only those without a final answer are asked for.

        Raises:
            Problem: 422, the id was used with another body.
        """
        entry = await self._agreed_entry(identity, body_sha256, entities)
        if entry.is_settled:
            return [part for part in entry.parts if part is not None]
        if entry.answering is None:
            entry.answering = asyncio.ensure_future(self._answer(identity, entry, ask))
            entry.answering.add_done_callback(_looked_at)
        # A caller that goes away does not take the answer of a repeat with it.
        return await asyncio.shield(entry.answering)

    def restore(self, requests: Iterable[Remembered[R]]) -> None:
        """Remember what the log tells of requests, oldest first; others may have answered them since."""
        now = self._clock()
        for known in requests:
            until = now + self._seconds - known.age_seconds
            is_alone = self._claims is None
            entry = _Entry(known.body_sha256, until, list(known.parts), is_agreed=is_alone)
            entry.is_settled = is_alone and None not in entry.parts
            self._add(known.identity, entry)

    async def _agreed_entry(self, identity: Identity, body_sha256: str, entities: int) -> _Entry[R]:
        """Return a request's entry; an id that another body has only asked for is waited for."""
        while True:
            entry = self._entry(identity)
            if entry is None or (entry.body_sha256, len(entry.parts)) == (body_sha256, entities):
                return entry or self._add(identity, self._new(body_sha256, entities))
            if entry.answering is None or entry.is_agreed:
                break
            await asyncio.sleep(WAIT_SECONDS)
        if entry.body_sha256 != body_sha256:
            raise Problem(REQUEST_ID_REUSED, "use a new request_id for another request")
        return self._add(identity, self._new(body_sha256, entities))

    def _entry(self, identity: Identity) -> _Entry[R] | None:
        now = self._clock()
        while self._entries and next(iter(self._entries.values())).until <= now:
            self._forget(next(iter(self._entries)))
        return self._entries.get(identity)

    def _new(self, body_sha256: str, entities: int) -> _Entry[R]:
        until = self._clock() + self._seconds
        return _Entry(body_sha256, until, [None] * entities, is_agreed=self._claims is None)

    def _add(self, identity: Identity, entry: _Entry[R]) -> _Entry[R]:
        if identity in self._entries:
            self._forget(identity)
        self._entries[identity] = entry
        self._entities += len(entry.parts)
        while self._entities > self._size and len(self._entries) > 1:
            self._forget(next(iter(self._entries)))
        return entry

    def _forget(self, identity: Identity) -> None:
        self._entities -= len(self._entries.pop(identity).parts)

    async def _answer(
        self, identity: Identity, entry: _Entry[R], ask: Callable[[Sequence[int]], Awaitable[Sequence[R]]]
    ) -> list[R]:
        """Complete an entry; what failed stays open, and a request of which nothing is known is forgotten."""
        try:
            claims = await self._claimed(identity, entry)
            missing = [place for place, part in enumerate(entry.parts) if part is None]
            answers = dict(zip(missing, await ask(missing) if missing else (), strict=True))
            for place, answer in answers.items():
                entry.parts[place] = answer if self._is_final(answer) else None
            if claims is not None:
                await claims.keep(identity, entry.parts)
            entry.is_settled = None not in entry.parts
            return [answers[n] if part is None else part for n, part in enumerate(entry.parts)]
        finally:
            entry.answering = None
            if not any(part is not None for part in entry.parts) and self._entries.get(identity) is entry:
                self._forget(identity)

    async def _claimed(self, identity: Identity, entry: _Entry[R]) -> Claims[R] | None:
        """Claim a request, waiting while another gateway answers it, and take over what it answered.

        Returns:
            Those who keep its answers; None where it is nobody's but this gateway's business.
        """
        whose = Whose.UNKNOWN
        known: Sequence[R | None] = ()
        while self._claims is not None:
            whose, known = await self._claims.claim(identity, entry.body_sha256)
            entry.is_agreed = True
            if whose is not Whose.BUSY:
                break
            await asyncio.sleep(WAIT_SECONDS)
        if len(known) == len(entry.parts):
            shared = zip(known, entry.parts, strict=True)
            entry.parts = [here if there is None else there for there, here in shared]
        return self._claims if whose is Whose.OURS else None


def _looked_at(answering: "asyncio.Future[list[R]]") -> None:
    """Take note of a failure whose callers have all gone away."""
    if not answering.cancelled():
        answering.exception()
