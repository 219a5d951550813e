"""HTTP requests and responses as values, and how a body is read from an ASGI server."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from serving.gateway.problems import (
    MALFORMED,
    REQUEST_TIMEOUT,
    RETRY_AFTER_SECONDS,
    TOO_LARGE,
    TOO_MANY_FAILURES,
    UNSUPPORTED_MEDIA_TYPE,
    Problem,
)
from serving.gateway.tracing import RequestTrace

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = b"application/json"
PROBLEM_JSON = b"application/problem+json"
BINARY = b"application/octet-stream"

_CLOSE = (b"connection", b"close")

encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Request:
    """One HTTP request; `key_id` and `model` are noted for the log as they become known."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    arrived: float
    """Monotonic seconds."""
    receive: Receive | None = None
    """None where the body is already whole."""
    key_id: str | None = None
    model: str | None = None
    trace: RequestTrace | None = None

    def header(self, name: bytes) -> str | None:
        """Return a header's value; `name` in lower case."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def check_media_type(self, *taken: bytes) -> None:
        """Check Content-Type against the media types taken.

        Raises:
            Problem: 415.
        """
        given = self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if given not in taken:
            names = " or ".join(name.decode() for name in taken if name)
            raise Problem(UNSUPPORTED_MEDIA_TYPE, f"send Content-Type: {names}")
        if self.headers.get(b"content-encoding", b"identity") != b"identity":
            raise Problem(UNSUPPORTED_MEDIA_TYPE, "send the body without a Content-Encoding")

    async def body(self, limit: int, timeout_seconds: float) -> bytes:
        """Return the whole body, also of a chunked request.

        Raises:
            Problem: 400 for a Content-Length that is no number, 408 when it does not arrive in time,
                413 over the limit.
        """
        length = self.headers.get(b"content-length")
        if length is not None and not length.isdigit():
            raise Problem(MALFORMED, "Content-Length is not a number")
        if length is not None and int(length) > limit:
            raise _too_large(limit)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._read(limit)
        except TimeoutError:
            raise Problem(REQUEST_TIMEOUT, f"no whole body within {timeout_seconds:g} s") from None

    async def _read(self, limit: int) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while self.receive is not None:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError("the caller went away")
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            chunks.append(chunk)
            if not message.get("more_body", False):
                break
        return b"".join(chunks)


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response."""

    status: int
    body: bytes
    media_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()

    async def send(self, send: Send) -> None:
        """Hand the response to the server."""
        headers = [
            (b"content-type", self.media_type),
            (b"content-length", b"%d" % len(self.body)),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def answered(value: object, status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(status, encode(value))


def refused(problem: Problem, path: str) -> Response:
    """Return a problem document, with the headers its status calls for."""
    status = problem.kind.status
    headers: list[tuple[bytes, bytes]] = []
    if status == 401:  # noqa: PLR2004 - Unauthorized
        headers.append((b"www-authenticate", b"Bearer"))
    after = problem.retry_after_seconds
    if after is None and status == 503:  # noqa: PLR2004 - Service Unavailable
        after = RETRY_AFTER_SECONDS
    if after is not None:
        headers.append((b"retry-after", b"%d" % after))
    if problem.kind in (TOO_LARGE, REQUEST_TIMEOUT, TOO_MANY_FAILURES):
        # What is left of the body is not read.
        headers.append(_CLOSE)
    return Response(status, encode(problem.document(path)), PROBLEM_JSON, tuple(headers))


def closing(response: Response) -> Response:
    """Return a response after which the connection is closed."""
    if _CLOSE in response.headers:
        return response
    return replace(response, headers=(*response.headers, _CLOSE))


def _too_large(limit: int) -> Problem:
    return Problem(TOO_LARGE, f"the limit is {limit} bytes")
