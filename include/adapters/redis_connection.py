"""One connection to Redis on an event loop: a batch of commands is one write, its replies one future.

redis-py spends longer on a command than the gateway may on a request. Packing and parsing are hiredis's, in
C; nothing here looks at a reply but to count it.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from hiredis import HiredisError, Reader, ReplyError, pack_command

from include.adapters.online_backend import PORT, SECURE

Replies = list[Any]
"""Bytes, numbers, lists of them or None, in the order of the commands."""


def packed(*words: bytes | str) -> bytes:
    """Return a command as it is sent."""
    command: bytes = pack_command(words)  # type: ignore[arg-type] # hiredis' types know commands of one word
    return command


class RedisConnection:
    """Connects at its first call, and again after it was lost; for use inside one event loop."""

    def __init__(self, url: str, connect_seconds: float, answer_seconds: float) -> None:
        """Args: url: `redis[s]://[user:password@]host[:port][/database]`, proven to be one."""
        self._url = urlsplit(url)
        self._connect_seconds = connect_seconds
        self._answer_seconds = answer_seconds
        self._wire: _Wire | None = None
        self._connecting = asyncio.Lock()

    async def call(self, commands: Sequence[bytes]) -> Replies:
        """Send packed commands and return their replies.

        They must be safe to repeat: what a kept connection lost is asked again on a new one.

        Raises:
            OSError: the server is away, or silent.
            HiredisError: it refused a command, or does not speak the protocol.
        """
        kept = self._wire
        if kept is not None and kept.is_open:
            try:
                return await self._answered(kept, commands)
            except ConnectionError:
                pass
        return await self._answered(await self._connected(), commands)

    async def close(self) -> None:
        """Close the connection."""
        if self._wire is not None:
            self._wire.close()

    async def _answered(self, wire: "_Wire", commands: Sequence[bytes]) -> Replies:
        try:
            async with asyncio.timeout(self._answer_seconds):
                replies = await wire.send(commands)
        except TimeoutError:
            wire.close()  # a late reply would be taken for another command's
            raise TimeoutError(f"no answer within {self._answer_seconds:g} s") from None
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise reply
        return replies

    async def _connected(self) -> "_Wire":
        async with self._connecting:
            if self._wire is None or not self._wire.is_open:
                self._wire = await self._opened()
            return self._wire

    async def _opened(self) -> "_Wire":
        host, port = str(self._url.hostname), self._url.port or PORT
        secured = ssl.create_default_context() if self._url.scheme == SECURE else None
        async with asyncio.timeout(self._connect_seconds):
            _, wire = await asyncio.get_running_loop().create_connection(_Wire, host, port, ssl=secured)
        try:
            await self._answered(wire, self._greeting())
        except BaseException:
            wire.close()
            raise
        return wire

    def _greeting(self) -> list[bytes]:
        """Return who asks, and for which database."""
        names = [unquote(part) for part in (self._url.username, self._url.password) if part]
        who = [packed("AUTH", *names)] if self._url.password else []
        return [*who, packed("SELECT", self._url.path.strip("/") or "0")]


class _Wire(asyncio.Protocol):
    """Gives each batch its replies, which come in the order in which commands were sent."""

    def __init__(self) -> None:
        self.is_open = False
        self._reader = Reader()
        self._batches: deque[tuple[int, Replies, asyncio.Future[Replies]]] = deque()
        self._transport: asyncio.Transport | None = None

    def send(self, commands: Sequence[bytes]) -> "asyncio.Future[Replies]":
        """Write commands; the future gives their replies, or raises ConnectionError."""
        future: asyncio.Future[Replies] = asyncio.get_running_loop().create_future()
        if self._transport is None or not self.is_open:
            future.set_exception(ConnectionResetError("the connection is closed"))
            return future
        self._batches.append((len(commands), [], future))
        self._transport.write(b"".join(commands))
        return future

    def close(self) -> None:
        """Close the connection; who still waits is told."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready to send."""
        self._transport, self.is_open = cast("asyncio.Transport", transport), True

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; whoever has all replies gets them."""
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                self._take(reply)
        except (HiredisError, IndexError) as error:
            self._fail(error)
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell everybody who waits."""
        self.is_open = False
        self._fail(ConnectionResetError(f"the connection was lost: {error or 'closed by the server'}"))

    def _take(self, reply: Any) -> None:  # noqa: ANN401 - whatever Redis says
        wanted, replies, future = self._batches[0]
        replies.append(reply)
        if len(replies) == wanted:
            self._batches.popleft()
            if not future.done():  # who asked has gone
                future.set_result(replies)

    def _fail(self, error: Exception) -> None:
        while self._batches:
            _, _, future = self._batches.popleft()
            if not future.done():
                future.set_exception(error)
