"""The HTTP server: uvicorn, with a short way for predictions past ASGI's task and messages per request.

A prediction's answer needs no task of its own: it waits in its model's queue. So where a request is for one,
its body small and on its way, the protocol hands it to the application with a callback. Everything else, and
whatever is pipelined behind a request in flight, takes uvicorn's own way through ASGI.
"""

import re
from asyncio import TimerHandle, Transport
from collections.abc import Sequence
from time import monotonic
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.gateway.app import Gateway
from serving.gateway.endpoints import PREDICT_PREFIX
from serving.gateway.messages import Request, Response

BACKLOG = 4096
FINISH_SECONDS = 10
"""Longest a gateway that listens no more finishes requests in flight."""
IDLE_SECONDS = 60
"""Longest a connection is kept without a request."""

_SHORT_WAY = re.compile(PREDICT_PREFIX.encode() + rb"[a-z0-9_]{1,80}")
_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

Headers = Sequence[tuple[bytes, bytes]]


def configuration(gateway: Gateway, host: str, port: int) -> uvicorn.Config:
    """Return how the gateway is served."""
    return uvicorn.Config(
        gateway,
        host=host,
        port=port,
        loop="uvloop",
        http=GatewayProtocol,
        ws="none",
        lifespan="on",
        backlog=BACKLOG,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=FINISH_SECONDS,
    )


class _Exchange:
    """One request on the short way, with what uvicorn's protocol asks of the request in flight."""

    __slots__ = (
        "body",
        "disconnected",
        "keep_alive",
        "message_event",
        "protocol",
        "request",
        "response_complete",
    )

    def __init__(self, protocol: "GatewayProtocol", request: Request, *, keep_alive: bool) -> None:
        self.protocol = protocol
        self.request = request
        self.keep_alive = keep_alive
        self.body = b""
        self.disconnected = False
        self.response_complete = False
        self.message_event = _NOBODY_WAITS

    def respond(self, response: Response) -> None:
        """Send the answer; nowhere, where its caller has gone or was told off before."""
        if self.response_complete:
            return
        self.response_complete = True
        protocol = self.protocol
        if self.disconnected or protocol.transport.is_closing():
            return
        closing = not self.keep_alive or (b"connection", b"close") in response.headers
        protocol.transport.write(_wire(response, protocol.server_state.default_headers, closing=closing))
        if closing:
            protocol.transport.close()
        protocol.exchange_ended()


class _NobodyWaits:
    def set(self) -> None:
        """Wake nobody."""


_NOBODY_WAITS = _NobodyWaits()


class GatewayProtocol(HttpToolsProtocol):  # type: ignore[misc] # uvicorn's is not typed for others
    """One connection; it gives up on callers that take too long over a request, or send none."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*arguments, **options)
        self._gateway = cast(Gateway, self.app)
        self.cycle: Any = None
        """The request in flight, or the last one: an `_Exchange`, or what uvicorn has for ASGI's way."""
        self._began: float | None = None
        """When the message now being received began, on the loop's clock."""
        self._quiet_since = 0.0
        self._idle_timer: TimerHandle | None = None
        self._patience_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:
        """Begin to watch the connection."""
        super().connection_made(transport)
        self._quiet_since = self.loop.time()
        self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """End watching."""
        for timer in (self._idle_timer, self._patience_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        if isinstance(self.cycle, _Exchange):
            # It holds the protocol: in a circle both would stay until a collection of old objects.
            self.cycle = None

    def data_received(self, data: bytes) -> None:
        """Read on; a message that is not whole has a limited time to become so."""
        super().data_received(data)
        if self._began is not None and self._patience_timer is None:
            self._patience_timer = self.loop.call_later(self._gateway.patience_seconds, self._give_up)

    def on_message_begin(self) -> None:
        """Begin a request; what ASGI needs of it is made where it takes ASGI's way."""
        self._began = self.loop.time()
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Choose the request's way."""
        headers = dict(self.headers)
        if self._is_short(headers):
            request = Request("POST", self.url.decode(), headers, monotonic())
            exchange = _Exchange(self, request, keep_alive=self.parser.should_keep_alive())
            self.cycle = exchange
            return
        received, url, expects = self.headers, self.url, self.expect_100_continue
        super().on_message_begin()
        self.headers += received
        self.url, self.expect_100_continue = url, expects
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if isinstance(self.cycle, _Exchange):
            self.cycle.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Hand a whole request over."""
        self._began = None
        if self._patience_timer is not None:
            self._patience_timer.cancel()
            self._patience_timer = None
        exchange = self.cycle
        if not isinstance(exchange, _Exchange):
            super().on_message_complete()
        elif not exchange.response_complete:
            self._gateway.predict(exchange.request, exchange.body, exchange.respond)

    def on_response_complete(self) -> None:
        """Go on after an answer of ASGI's."""
        self._quiet_since = self.loop.time()
        super().on_response_complete()

    def exchange_ended(self) -> None:
        """Go on after an answer on the short way."""
        self.server_state.total_requests += 1
        self._quiet_since = self.loop.time()
        if self.flow.write_paused:
            # A caller who does not read its answers is not read either.
            self.flow.pause_reading()
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)

    def resume_writing(self) -> None:
        """Go on when a slow caller has read."""
        super().resume_writing()
        if self.cycle is None or self.cycle.response_complete:
            self.flow.resume_reading()

    def _is_short(self, headers: dict[bytes, bytes]) -> bool:
        length = headers.get(b"content-length", b"")
        return (
            _SHORT_WAY.fullmatch(self.url) is not None
            and self.parser.get_method() == b"POST"
            and length.isdigit()
            and int(length) <= min(HIGH_WATER_LIMIT, self._gateway.body_limit)
            and (self.cycle is None or self.cycle.response_complete)
            and not self.expect_100_continue
            and b"upgrade" not in headers
            and self.parser.get_http_version() == "1.1"
        )

    def _look(self) -> None:
        """Close a connection that was quiet for long; look again when it could have been."""
        is_busy = self._began is not None or (self.cycle is not None and not self.cycle.response_complete)
        now = self.loop.time()
        quiet_until = (now if is_busy else self._quiet_since) + self.timeout_keep_alive
        if now >= quiet_until:
            self.transport.close()
        else:
            self._idle_timer = self.loop.call_at(quiet_until, self._look)

    def _give_up(self) -> None:
        """End a connection whose message did not become whole; ASGI's own endpoints tell their callers."""
        self._patience_timer = None
        if self._began is None or self.transport.is_closing():
            return
        if isinstance(self.cycle, _Exchange) and not self.cycle.response_complete:
            self._gateway.give_up(self.cycle.request, self.cycle.respond)
        elif self.cycle is None or self.cycle.response_complete:
            self.transport.write(_TIMED_OUT)
            self.transport.close()


def _wire(response: Response, defaults: Headers, *, closing: bool) -> bytes:
    headers = b"".join([b"%b: %b\r\n" % header for header in (*defaults, *response.headers)])
    close = b"connection: close\r\n" if closing and (b"connection", b"close") not in response.headers else b""
    return b"%bcontent-type: %b\r\ncontent-length: %d\r\n%b%b\r\n%b" % (
        STATUS_LINE[response.status],
        response.media_type,
        len(response.body),
        headers,
        close,
        response.body,
    )
