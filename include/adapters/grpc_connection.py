"""One HTTP/2 connection to a gRPC server, and the calls on it; `grpc_channel` says why it is ours."""

import asyncio
import socket
from asyncio import AbstractEventLoop, Future, TimerHandle, Transport
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from typing import cast
from urllib.parse import unquote

from include.adapters.http2_frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    FRAME_BYTES,
    FRAME_BYTES_MOST,
    PREFACE,
    STREAM_MOST,
    WINDOW,
    WINDOW_MOST,
    Frame,
    FrameReader,
    Kind,
    ProtocolError,
    Setting,
    content_of,
    data_frames,
    frame,
    headers_of,
    literal,
    settings,
    settings_of,
    word,
    word_of,
)

SILENCE_MILLISECONDS = 5000
"""A connection whose bytes nobody acknowledged for so long is given up: its machine is gone."""

_PREFIX_BYTES = 5
_MOST_MICROSECONDS = 99_999_999
_PROTOCOL = b"\x83\x86"
"""`:method: POST` and `:scheme: http`, as RFC 7541's static table has them."""
_CONTENT = literal(b"content-type", b"application/grpc") + literal(b"te", b"trailers")
_HELLO = (
    PREFACE
    + settings([(Setting.HEADER_TABLE, 0), (Setting.PUSH, 0), (Setting.INITIAL_WINDOW, WINDOW_MOST)])
    + frame(Kind.WINDOW_UPDATE, 0, 0, word(WINDOW_MOST - WINDOW))
)
_LOW_WATER = WINDOW_MOST // 2
_LONGEST_BLOCK = 65_536
"""Bytes of headers, encoded, that are collected; gRPC's own limit is an eighth of it."""


class Code(IntEnum):
    """How a call ended; all of gRPC's codes."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


_CODES = {str(code.value): code for code in Code}
_CANCEL = 8
_RESETS = {7: Code.UNAVAILABLE, _CANCEL: Code.CANCELLED, 11: Code.RESOURCE_EXHAUSTED}
"""What a reset stream's error code means; every other means INTERNAL."""
_STATUSES = {
    "400": Code.INTERNAL,
    "401": Code.UNAUTHENTICATED,
    "403": Code.PERMISSION_DENIED,
    "404": Code.UNIMPLEMENTED,
    "429": Code.UNAVAILABLE,
    "502": Code.UNAVAILABLE,
    "503": Code.UNAVAILABLE,
    "504": Code.UNAVAILABLE,
}
"""What an HTTP status means where no gRPC server answered; every other means UNKNOWN."""


class CallError(Exception):
    """A call did not succeed."""

    def __init__(self, code: Code, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.details = details


@dataclass(slots=True)
class _Call:
    """A stream: one call under way."""

    stream: int
    answer: "Future[bytes]"
    window: int
    timer: TimerHandle
    unsent: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    received: list[bytes] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """One HTTP/2 connection and the calls on it."""

    def __init__(self, authority: str, loop: AbstractEventLoop) -> None:
        self._authority = literal(b":authority", authority.encode())
        self._loop = loop
        self._reader = FrameReader()
        self._calls: dict[int, _Call] = {}
        self._next_stream = 1
        self._window = WINDOW
        self._first_window = WINDOW
        self._frame_bytes = FRAME_BYTES
        self._most_calls = WINDOW_MOST
        self._allowed = WINDOW_MOST
        """Bytes the server may send before it is told of more."""
        self._block: tuple[int, int, bytes] | None = None
        """Stream, flags and beginning of headers that go on in the next frame."""
        self._prefixes: dict[str, bytes] = {}
        self._transport: Transport | None = None
        self._takers: dict[int, Callable[[Frame], None]] = {
            Kind.DATA: self._take_data,
            Kind.HEADERS: self._take_headers,
            Kind.CONTINUATION: self._continue_headers,
            Kind.RESET: self._take_reset,
            Kind.SETTINGS: self._take_settings,
            Kind.PING: self._take_ping,
            Kind.GOAWAY: self._take_goaway,
            Kind.WINDOW_UPDATE: self._take_window,
            Kind.PUSH: self._take_push,
        }
        self.takes_calls = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the server; calls may follow at once."""
        self._transport = cast(Transport, transport)
        found = transport.get_extra_info("socket")
        if found is not None:
            with suppress(OSError, AttributeError):  # only Linux has it
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_MILLISECONDS)
        self._transport.write(_HELLO)
        self.takes_calls = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everyone who waits."""
        self._end(Code.UNAVAILABLE, f"the connection was lost: {exc or 'the server closed it'}")

    def data_received(self, data: bytes) -> None:
        """Take frames."""
        try:
            for received in self._reader.read(data):
                self._take(received)
        except ProtocolError as error:
            self.close(Code.UNAVAILABLE, f"the server broke HTTP/2: {error}")

    def close(self, code: Code, why: str) -> None:
        """Close at once; calls under way end with a code."""
        self._end(code, why)
        if self._transport is not None:
            self._transport.close()

    async def call(
        self, path: str, message: bytes, timeout_seconds: float, metadata: Iterable[tuple[str, str]]
    ) -> bytes:
        """Return the answer to a message; raises CallError."""
        call = self._begin(path, message, timeout_seconds, metadata)
        try:
            return await call.answer
        except asyncio.CancelledError:
            self._drop(call)
            raise

    def _begin(
        self, path: str, message: bytes, timeout_seconds: float, metadata: Iterable[tuple[str, str]]
    ) -> _Call:
        if len(self._calls) >= self._most_calls:
            raise CallError(
                Code.UNAVAILABLE, f"{self._most_calls} calls are under way, the server allows no more"
            )
        stream = self._next_stream
        self._next_stream += 2
        self.takes_calls = self._next_stream <= STREAM_MOST
        timer = self._loop.call_later(timeout_seconds, self._expire, stream, timeout_seconds)
        call = _Call(stream, self._loop.create_future(), self._first_window, timer)
        self._calls[stream] = call
        block = self._prefix(path) + _deadline(timeout_seconds)
        for name, value in metadata:
            block += literal(name.encode(), value.encode())
        head = frame(Kind.HEADERS, END_HEADERS, stream, block)
        call.unsent = b"\x00" + word(len(message)) + message
        self._write(head + self._sendable(call))
        return call

    def _prefix(self, path: str) -> bytes:
        if path not in self._prefixes:
            self._prefixes[path] = _PROTOCOL + literal(b":path", path.encode()) + self._authority + _CONTENT
        return self._prefixes[path]

    def _sendable(self, call: _Call) -> bytes:
        """Return as much of a call's body as both windows let through now."""
        size = min(len(call.unsent), call.window, self._window)
        if size <= 0:
            return b""
        part, call.unsent = call.unsent[:size], call.unsent[size:]
        call.window -= size
        self._window -= size
        return data_frames(call.stream, part, self._frame_bytes, is_last=not call.unsent)

    def _send_on(self) -> None:
        for call in list(self._calls.values()):
            if call.unsent and (content := self._sendable(call)):
                self._write(content)

    def _write(self, content: bytes) -> None:
        if self._transport is not None:
            self._transport.write(content)

    def _take(self, received: Frame) -> None:
        if self._block is not None and received.kind != Kind.CONTINUATION:
            raise ProtocolError("headers were interrupted")
        if take := self._takers.get(received.kind):  # what is unknown is to be ignored
            take(received)

    def _take_data(self, received: Frame) -> None:
        self._allowed -= len(received.payload)
        if self._allowed < _LOW_WATER:
            self._write(frame(Kind.WINDOW_UPDATE, 0, 0, word(WINDOW_MOST - self._allowed)))
            self._allowed = WINDOW_MOST
        call = self._calls.get(received.stream)
        if call is None:
            return  # nobody waits for it any more
        call.received.append(content_of(received))
        if received.flags & END_STREAM:
            self._finish(call)

    def _take_headers(self, received: Frame) -> None:
        self._add_headers(received.stream, received.flags, content_of(received))

    def _add_headers(self, stream: int, flags: int, block: bytes) -> None:
        if len(block) > _LONGEST_BLOCK:
            raise ProtocolError(f"headers of more than {_LONGEST_BLOCK} bytes")
        if not flags & END_HEADERS:
            self._block = stream, flags, block
            return
        headers = headers_of(block)
        call = self._calls.get(stream)
        if call is None:
            return
        call.headers |= headers
        if flags & END_STREAM:
            self._finish(call)

    def _continue_headers(self, received: Frame) -> None:
        if self._block is None or self._block[0] != received.stream:
            raise ProtocolError("it goes on with headers it never began")
        stream, flags, block = self._block
        self._block = None
        flags |= received.flags & END_HEADERS
        self._add_headers(stream, flags, block + received.payload)

    def _take_reset(self, received: Frame) -> None:
        error = word_of(received.payload)
        if call := self._calls.get(received.stream):
            self._fail(call, _RESETS.get(error, Code.INTERNAL), f"the server reset the call ({error})")

    def _take_settings(self, received: Frame) -> None:
        if received.flags & ACK:
            return
        for name, value in settings_of(received.payload):
            if name == Setting.INITIAL_WINDOW:
                for call in self._calls.values():
                    call.window += value - self._first_window
                self._first_window = value
            elif name == Setting.FRAME_BYTES:
                if not FRAME_BYTES <= value <= FRAME_BYTES_MOST:
                    raise ProtocolError(f"it asks for frames of up to {value} bytes")
                self._frame_bytes = value
            elif name == Setting.CONCURRENT_STREAMS:
                self._most_calls = value
        self._write(frame(Kind.SETTINGS, ACK, 0))
        self._send_on()

    def _take_ping(self, received: Frame) -> None:
        if not received.flags & ACK:
            self._write(frame(Kind.PING, ACK, 0, received.payload))

    def _take_push(self, received: Frame) -> None:
        raise ProtocolError(f"it pushes stream {received.stream}, which it was told not to")

    def _take_goaway(self, received: Frame) -> None:
        """Make no more calls here; those the server took are answered yet."""
        self.takes_calls = False
        last = word_of(received.payload)
        for call in [each for stream, each in self._calls.items() if stream > last]:
            self._fail(call, Code.UNAVAILABLE, "the server goes away")
        self._leave_if_done()

    def _take_window(self, received: Frame) -> None:
        more = word_of(received.payload)
        if not received.stream:
            self._window += more
        elif call := self._calls.get(received.stream):
            call.window += more
        self._send_on()

    def _finish(self, call: _Call) -> None:
        if call.unsent:  # refused before it was heard out: the server need not wait for the rest
            self._write(frame(Kind.RESET, 0, call.stream, word(_CANCEL)))
        status = call.headers.get("grpc-status")
        if status is None:
            http = call.headers.get(":status", "none")
            code = Code.INTERNAL if http == "200" else _STATUSES.get(http, Code.UNKNOWN)
            self._fail(call, code, f"no gRPC status came, and the HTTP status {http}")
        elif status != "0":
            self._fail(call, _CODES.get(status, Code.UNKNOWN), unquote(call.headers.get("grpc-message", "")))
        else:
            self._succeed(call)

    def _succeed(self, call: _Call) -> None:
        body = call.received[0] if len(call.received) == 1 else b"".join(call.received)
        if len(body) < _PREFIX_BYTES or body[0] or word_of(body, 1) != len(body) - _PREFIX_BYTES:
            self._fail(call, Code.INTERNAL, "the answer is not one message, uncompressed")
            return
        self._forget(call)
        if not call.answer.done():
            call.answer.set_result(body[_PREFIX_BYTES:])

    def _fail(self, call: _Call, code: Code, details: str) -> None:
        self._forget(call)
        if not call.answer.done():
            call.answer.set_exception(CallError(code, details))

    def _forget(self, call: _Call) -> None:
        call.timer.cancel()
        self._calls.pop(call.stream, None)
        self._leave_if_done()

    def _drop(self, call: _Call) -> None:
        """Tell the server that nobody waits for a call."""
        if call.stream in self._calls:
            self._write(frame(Kind.RESET, 0, call.stream, word(_CANCEL)))
            self._forget(call)

    def _expire(self, stream: int, seconds: float) -> None:
        if call := self._calls.get(stream):
            self._drop(call)
            if not call.answer.done():
                call.answer.set_exception(
                    CallError(Code.DEADLINE_EXCEEDED, f"no answer within {seconds:g} s")
                )

    def _leave_if_done(self) -> None:
        if not self.takes_calls and not self._calls and self._transport is not None:
            self._transport.close()

    def _end(self, code: Code, why: str) -> None:
        self.takes_calls = False
        for call in list(self._calls.values()):
            self._fail(call, code, why)


def _deadline(seconds: float) -> bytes:
    """Return the header that says how long a call may take; in microseconds, 100 seconds at most."""
    microseconds = min(max(int(seconds * 1e6), 1), _MOST_MICROSECONDS)
    return literal(b"grpc-timeout", b"%du" % microseconds)
