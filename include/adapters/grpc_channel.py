"""Unary gRPC calls on the event loop, over one HTTP/2 connection to a server.

The client of `grpcio` hands every call to a thread of its own and back: 200 microseconds of CPU a call, where
a batch's features and log rows take 1,500. This one, at 80, writes a call where it is made and reads its
answer where it arrives. It speaks the protocol's unary part only (grpc.io, "gRPC over HTTP2"), without
compression and without TLS, and is tested against `grpcio`'s server and Triton.
"""

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Iterable

from include.adapters.grpc_connection import CallError, Code, Connection

CONNECT_SECONDS = 1.0
"""Longest a call waits for a connection."""
FIRST_BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 1.0
"""A server that comes back is found again within a second."""


class GrpcChannel:
    """Calls to one server; it connects when it must and again when it can."""

    def __init__(self, endpoint: str) -> None:
        """Take the server's address as `host:port`."""
        self._endpoint = endpoint
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._failure = ""
        self._failures = 0
        self._again_at = 0.0
        self._is_closed = False

    async def call(
        self, path: str, message: bytes, timeout_seconds: float, metadata: Iterable[tuple[str, str]] = ()
    ) -> bytes:
        """Return the answer to a message; the server is told how long it may take, and when nobody waits.

        Raises:
            CallError: the server refused it, or did not answer in time, or is not there.
        """
        connection = self._connection
        if connection is None or not connection.takes_calls:
            loop = asyncio.get_running_loop()
            end = loop.time() + timeout_seconds
            connection = await self._connected(timeout_seconds)
            timeout_seconds = max(end - loop.time(), 0.0)
        return await connection.call(path, message, timeout_seconds, metadata)

    async def close(self) -> None:
        """Close the connection; calls under way end as cancelled."""
        self._is_closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._connection is not None:
            self._connection.close(Code.CANCELLED, "the channel was closed")

    async def _connected(self, timeout_seconds: float) -> Connection:
        """Return a connection; while one fails to come about, callers are told at once."""
        loop = asyncio.get_running_loop()
        if self._is_closed:
            raise CallError(Code.CANCELLED, "the channel was closed")
        if self._connecting is None:
            if loop.time() < self._again_at:
                raise CallError(Code.UNAVAILABLE, self._failure)
            self._connecting = loop.create_task(self._connect(loop))
            self._connecting.add_done_callback(self._settle)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await asyncio.shield(self._connecting)
        except TimeoutError:
            raise CallError(Code.DEADLINE_EXCEEDED, f"no connection within {timeout_seconds:g} s") from None
        except OSError as error:
            raise CallError(Code.UNAVAILABLE, self._failure or str(error)) from error
        except asyncio.CancelledError:
            if self._is_closed:
                raise CallError(Code.CANCELLED, "the channel was closed") from None
            raise

    async def _connect(self, loop: AbstractEventLoop) -> Connection:
        host, _, port = self._endpoint.rpartition(":")
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._endpoint, loop), host.strip("[]"), int(port)
                )
        except TimeoutError:
            raise OSError(f"no connection within {CONNECT_SECONDS:g} s") from None
        return connection

    def _settle(self, connecting: "asyncio.Task[Connection]") -> None:
        self._connecting = None
        if connecting.cancelled():
            return
        error = connecting.exception()
        if error is None:
            self._connection, self._failures = connecting.result(), 0
            if self._is_closed:  # it came about in the very turn the channel was closed
                self._connection.close(Code.CANCELLED, "the channel was closed")
            return
        wait = min(FIRST_BACKOFF_SECONDS * 2**self._failures, LONGEST_BACKOFF_SECONDS)
        self._failures += 1
        self._failure = f"{self._endpoint} cannot be reached: {error}"
        self._again_at = connecting.get_loop().time() + wait
