"""Calls over our own HTTP/2 against `grpcio`'s server, which knows nothing of it."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import grpc
import pytest

from include.adapters.grpc_channel import GrpcChannel
from include.adapters.grpc_connection import CallError, Code
from include.adapters.http2_frames import FRAME_BYTES, WINDOW, Kind, Setting, frame, literal, settings

PATH = "/test.Service/Call"
LARGE = 3 * 1024 * 1024


class Service(grpc.GenericRpcHandler):
    """Answers with what it was sent, or as the message says; notes whose callers gave up."""

    def __init__(self) -> None:
        self.abandoned = threading.Event()
        self.metadata: dict[str, str] = {}
        self.remaining = 0.0

    def service(self, handler_call_details):
        """Handle every method."""
        self.metadata = dict(handler_call_details.invocation_metadata)
        return grpc.unary_unary_rpc_method_handler(self.answer)

    def answer(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        """Answer one call."""
        self.remaining = context.time_remaining()
        if message.startswith(b"abort"):
            context.abort(grpc.StatusCode[message.split()[1].decode()], "weil's nicht geht: 100 % größer")
        if message == b"wait":
            context.add_callback(self.abandoned.set)
            self.abandoned.wait(10)
        return message


@pytest.fixture
def server() -> Iterator[tuple[str, Service, grpc.Server]]:
    """Return an address, what answers there, and the server."""
    service = Service()
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    found = grpc.server(ThreadPoolExecutor(8), handlers=[service], options=unlimited)
    port = found.add_insecure_port("127.0.0.1:0")
    found.start()
    yield f"127.0.0.1:{port}", service, found
    service.abandoned.set()
    found.stop(0).wait()


def calls(endpoint: str, *messages: bytes, seconds: float = 10.0, metadata=()) -> list[bytes | BaseException]:
    """Make calls at the same time over one channel; return their answers in order."""

    async def make() -> list[bytes | BaseException]:
        channel = GrpcChannel(endpoint)
        asked = (channel.call(PATH, message, seconds, metadata) for message in messages)
        found = await asyncio.gather(*asked, return_exceptions=True)
        await channel.close()
        return found

    return asyncio.run(make())


@pytest.mark.parametrize("size", [0, 1, FRAME_BYTES - 5, FRAME_BYTES, WINDOW - 5, WINDOW, LARGE])
def test_messages_of_every_size_come_back(server, size):
    """Past one frame, past the first window of both sides."""
    message = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert [message] == calls(server[0], message)


def test_calls_at_the_same_time_are_not_mixed_up(server):
    """Some of them longer than all windows together."""
    messages = [bytes((n,)) * (n * 5000 + 1) for n in range(60)]
    assert messages == calls(server[0], *messages)


def test_a_long_series_outlives_what_the_server_was_allowed_at_first(server, monkeypatch):
    """The connection's window is given again and again."""
    monkeypatch.setattr("include.adapters.grpc_connection._LOW_WATER", 2**31 - 1 - 20_000)
    assert [bytes(15_000)] * 40 == calls(server[0], *[bytes(15_000)] * 40)


def test_the_server_is_told_the_time_there_is_and_what_the_call_carries(server):
    """Deadlines go along; so does a trace."""
    calls(server[0], b"x", seconds=7.0, metadata=[("traceparent", "00-ab-cd-01")])
    assert 6 < server[1].remaining <= 7
    assert "00-ab-cd-01" == server[1].metadata["traceparent"]


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
def test_every_refusal_has_its_code_and_words(server, code):
    """Words outside ASCII included."""
    error = calls(server[0], b"abort " + code.name.encode())[0]
    assert isinstance(error, CallError)
    assert (code, "weil's nicht geht: 100 % größer") == (error.code, error.details)


def test_a_call_out_of_time_is_ended_at_both_sides(server):
    """The server learns that nobody waits, and the connection serves on."""
    late, answered = calls(server[0], b"wait", b"x", seconds=0.3)
    assert isinstance(late, CallError)
    assert late.code is Code.DEADLINE_EXCEEDED
    assert answered == b"x"
    assert server[1].abandoned.wait(5)


def test_a_caller_that_goes_away_ends_its_call_at_the_server(server):
    """Cancelled here, cancelled there; well before the deadline."""

    async def give_up() -> bytes:
        channel = GrpcChannel(server[0])
        call = asyncio.create_task(channel.call(PATH, b"wait", 60.0))
        await asyncio.sleep(0.2)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        answer = await channel.call(PATH, b"x", 5.0)
        await channel.close()
        return answer

    assert b"x" == asyncio.run(give_up())
    assert server[1].abandoned.wait(5)


def test_what_is_refused_before_it_was_heard_out_is_not_waited_for(server):
    """A server that answers at the headers gets the rest of a long message's stream taken back."""

    async def ask() -> tuple[CallError, bytes]:
        heard = asyncio.Event()
        found = bytearray()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(PATH.encode())
            writer.write(frame(Kind.HEADERS, 5, 1, literal(b":status", b"503")))
            while not found.endswith(frame(Kind.RESET, 0, 1, bytes((0, 0, 0, 8)))):
                found.extend(await reader.read(1 << 20))
            writer.close()
            heard.set()

        other = await asyncio.start_server(answer, "127.0.0.1", 0)
        channel = GrpcChannel(f"127.0.0.1:{other.sockets[0].getsockname()[1]}")
        with pytest.raises(CallError) as refused:
            await channel.call(PATH, bytes(LARGE), 5.0)
        await asyncio.wait_for(heard.wait(), 5.0)
        await channel.close()
        other.close()
        return refused.value, bytes(found)

    error, found = asyncio.run(ask())
    assert error.code is Code.UNAVAILABLE
    assert len(found) < 2 * WINDOW


def test_a_deadline_counts_from_before_the_connection(server, monkeypatch):
    """A connection that took its time leaves the call what is left."""
    connect = GrpcChannel._connect

    async def slow(channel, loop):
        await asyncio.sleep(0.8)
        return await connect(channel, loop)

    monkeypatch.setattr(GrpcChannel, "_connect", slow)
    calls(server[0], b"x", seconds=2.0)
    assert 0 < server[1].remaining < 1.5


def test_nobody_there_is_unavailable_at_once_and_found_when_it_comes(server):
    """While one waits to try again, callers are told; a server that comes is found within a second."""
    endpoint, service, running = server
    running.stop(0).wait()
    port = int(endpoint.rpartition(":")[2])

    async def find() -> tuple[list[Code], bytes]:
        channel, codes = GrpcChannel(endpoint), []
        for _ in range(5):
            with pytest.raises(CallError) as refused:
                await channel.call(PATH, b"x", 5.0)
            codes.append(refused.value.code)
        again = grpc.server(ThreadPoolExecutor(1), handlers=[service], options=[("grpc.so_reuseport", 0)])
        again.add_insecure_port(f"127.0.0.1:{port}")
        again.start()
        answer = b""
        until = time.monotonic() + 10
        while not answer and time.monotonic() < until:
            await asyncio.sleep(0.05)
            try:
                answer = await channel.call(PATH, b"back", 5.0)
            except CallError:
                continue
        await channel.close()
        again.stop(0).wait()
        return codes, answer

    codes, answer = asyncio.run(find())
    assert [Code.UNAVAILABLE] * 5 == codes
    assert answer == b"back"


def test_a_server_that_goes_away_answers_what_it_took(server):
    """A graceful stop: the call under way is answered, the next one is refused."""
    endpoint, service, running = server

    async def outlive() -> tuple[bytes, Code]:
        channel = GrpcChannel(endpoint)
        call = asyncio.create_task(channel.call(PATH, b"wait", 10.0))
        await asyncio.sleep(0.3)
        running.stop(10)
        await asyncio.sleep(0.3)
        service.abandoned.set()
        answer = await call
        with pytest.raises(CallError) as refused:
            await channel.call(PATH, b"x", 5.0)
        await channel.close()
        return answer, refused.value.code

    assert (b"wait", Code.UNAVAILABLE) == asyncio.run(outlive())


def test_calls_of_a_closed_channel_end(server):
    """Whoever waits is told, and nobody begins another."""

    async def close() -> list[Code]:
        channel = GrpcChannel(server[0])
        call = asyncio.create_task(channel.call(PATH, b"wait", 10.0))
        await asyncio.sleep(0.2)
        await channel.close()
        found = []
        for each in (call, channel.call(PATH, b"x", 1.0)):
            with pytest.raises(CallError) as refused:
                await each
            found.append(refused.value.code)
        return found

    assert [Code.CANCELLED] * 2 == asyncio.run(close())


def said(*content: bytes, seconds: float = 5.0) -> CallError:
    """Return how a call ends where a server that is none says this to every connection."""

    async def ask() -> CallError:
        gone = asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(b"".join(content))
            with suppress(ConnectionError):
                await reader.read()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            gone.set()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        channel = GrpcChannel(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(CallError) as refused:
            await channel.call(PATH, b"x", seconds)
        await channel.close()
        await gone.wait()
        server.close()
        return refused.value

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Code.UNAVAILABLE, "broke HTTP/2"),
        (frame(Kind.PUSH, 0, 1, b"x"), Code.UNAVAILABLE, "pushes"),
        (frame(Kind.SETTINGS, 0, 0, b"x"), Code.UNAVAILABLE, "torn"),
        (settings([(Setting.FRAME_BYTES, 0)]), Code.UNAVAILABLE, "up to 0 bytes"),
        (settings([(Setting.FRAME_BYTES, 2**24)]), Code.UNAVAILABLE, "up to 16777216 bytes"),
        (
            frame(Kind.HEADERS, 1, 1, b"") + 5 * frame(Kind.CONTINUATION, 0, 1, bytes(FRAME_BYTES)),
            Code.UNAVAILABLE,
            "more than 65536 bytes",
        ),
        (frame(Kind.RESET, 0, 1, b"x"), Code.UNAVAILABLE, "too short"),
        (frame(Kind.RESET, 0, 1, bytes((0, 0, 0, 7))), Code.UNAVAILABLE, "reset"),
        (frame(Kind.RESET, 0, 1, bytes((0, 0, 0, 2))), Code.INTERNAL, "reset"),
        (frame(Kind.HEADERS, 0, 1, b"\x88") + frame(Kind.DATA, 1, 1), Code.UNAVAILABLE, "interrupted"),
        (frame(Kind.CONTINUATION, 4, 1, b"\x88"), Code.UNAVAILABLE, "never began"),
        (frame(Kind.HEADERS, 5, 1, b"\x8d"), Code.UNIMPLEMENTED, "status 404"),
        (
            frame(Kind.HEADERS, 1, 1, b"") + frame(Kind.CONTINUATION, 4, 1, b"\x8e"),
            Code.UNKNOWN,
            "status 500",
        ),
        (frame(Kind.HEADERS, 4, 1, b"\x88") + frame(Kind.DATA, 1, 1), Code.INTERNAL, "no gRPC status"),
        (frame(Kind.GOAWAY, 0, 0, bytes(8)), Code.UNAVAILABLE, "goes away"),
        (settings([]), Code.DEADLINE_EXCEEDED, "no answer"),
    ],
)
def test_what_is_no_answer_ends_the_call(content, code, words):
    """Whatever a server says, the caller gets a code and the reason; nothing hangs or escapes."""
    error = said(content, seconds=0.5)
    assert code is error.code
    assert words in error.details
