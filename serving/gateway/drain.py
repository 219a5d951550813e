"""How the gateway ends: it says so, answers what still comes, and closes connections that are not in use.

A connection that is closed while its caller sends loses a request. So on SIGTERM the gateway goes on
answering for a while, not ready any more, and every answer asks its caller to come back on another
connection; only what stayed quiet all that time is closed without a word. Before it stops listening it lets
nobody connect any more: whoever is connected by then is answered, nobody waits in a queue that is closed.
"""

import asyncio
import ctypes
import signal
import socket
import struct
import sys
from logging import getLogger
from time import monotonic
from types import FrameType

import uvicorn

LAST_SECONDS = 0.5
"""How long those who connected last have to send their request."""
ACCEPTED_A_TURN = 32
"""Most connections that are accepted in one turn of the event loop."""
_ACCEPT_SECONDS = 0.05
_ATTACH_FILTER = 26
"""SO_ATTACH_FILTER, which Python does not name."""
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)
"""One instruction of classic BPF: return 0, take nothing of the packet."""

_log = getLogger(__name__)


class Drain:
    """Whether the gateway is about to end."""

    def __init__(self) -> None:
        self.has_begun = False

    def begin(self) -> None:
        """Let every answer close its connection from now on."""
        self.has_begun = True


class DrainingServer(uvicorn.Server):  # type: ignore[misc] # uvicorn's is not typed for others
    """Ends some time after it is told to; told again, or by Ctrl-C, it ends at once."""

    def __init__(self, config: uvicorn.Config, drain: Drain, seconds: float) -> None:
        """Args: seconds: how long it goes on answering."""
        super().__init__(config)
        self._drain = drain
        self._seconds = seconds
        self._ends_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so: from here on requests are answered."""
        await super().startup(sockets and [copy for listener in sockets for copy in copies_of(listener)])
        _log.info("gateway listens", extra={"fields": {"host": self.config.host, "port": self.config.port}})

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end."""
        if sig != signal.SIGTERM or self._drain.has_begun:
            super().handle_exit(sig, frame)
            return
        self._captured_signals.append(sig)
        self._drain.begin()
        self._ends_at = monotonic() + self._seconds

    async def on_tick(self, counter: int) -> bool:
        """Say whether the time has come."""
        if self._ends_at is not None and monotonic() >= self._ends_at:
            self.should_exit = True
        return bool(await super().on_tick(counter))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer those who are connected, and end."""
        if self._ends_at is not None:
            for listener in sockets or ():
                refuse_connections(listener)
            last = monotonic() + LAST_SECONDS
            await asyncio.sleep(_ACCEPT_SECONDS)
            while self.server_state.connections and monotonic() < last:
                await asyncio.sleep(_ACCEPT_SECONDS)
        await super().shutdown(sockets)


def copies_of(listener: socket.socket) -> list[socket.socket]:
    """Return a listening socket several times; all wait for the same callers.

    The event loop's library accepts one connection of each socket in a turn. A turn under load takes
    milliseconds: of a thousand who connect at once the last, such as a health check, would wait for seconds.
    """
    return [listener, *(listener.dup() for _ in range(ACCEPTED_A_TURN - 1))]


def refuse_connections(listener: socket.socket) -> None:
    """Let nobody connect to a listening socket any more; what is connected stays, and can be accepted.

    The kernel drops what asks for a connection. Who asks again finds the port closed, or another process
    that shares it; closing alone would reset connections that nobody had accepted yet.
    """
    program = ctypes.create_string_buffer(_DROP_ALL)
    listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))


def bound_socket(host: str, port: int, *, shared: bool) -> socket.socket:
    """Return a socket that is bound and does not listen yet; the process ends where the port is taken.

    Args:
        host: address to bind.
        port: port to bind.
        shared: whether another process may listen there too, if it said the same.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        _log.error("cannot listen", extra={"fields": {"host": host, "port": port, "error": error.strerror}})
        sys.exit(1)
    return bound
