"""A connection to a real Redis, and to servers that fail."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing

import pytest
from hiredis import HiredisError, ReplyError
from redis import Redis

from include.adapters.redis_connection import RedisConnection, packed
from tests.servers import running_redis


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A Redis of this module's own."""
    with running_redis() as url:
        yield url


def told(url: str, *words: str) -> None:
    """Tell Redis something from another connection."""
    with closing(Redis.from_url(url)) as client:
        client.execute_command(*words)


@asynccontextmanager
async def connected(url: str, answer_seconds: float = 5.0) -> AsyncIterator[RedisConnection]:
    """Yield a connection, closed afterwards."""
    connection = RedisConnection(url, 5.0, answer_seconds)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def answering(answer: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    """Run a server that greets, then answers whatever it is told; yield its URL."""
    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            await reader.read(1000)
            writer.write(b"+OK\r\n")
            while told := await reader.read(1000):
                writer.write(answer(told))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}/0"
        await asyncio.gather(*filter(None, serving))


def test_batches_that_are_in_flight_together_get_their_own_replies(server):
    """In the order of their commands, however the server's answers are cut into packets."""

    async def ask() -> list[list[bytes]]:
        async with connected(server) as connection:
            texts = [[f"{batch}-{number}" * 3000 for number in range(batch)] for batch in range(1, 8)]
            calls = [connection.call([packed("ECHO", text) for text in batch]) for batch in texts]
            assert [[text.encode() for text in batch] for batch in texts] == await asyncio.gather(*calls)

    asyncio.run(ask())


def test_password_and_database_are_those_of_the_url(server):
    """A wrong password is told, a right one lets in; keys are those of the database."""
    told(server, "ACL", "SETUSER", "reader", "on", ">se cret", "~*", "+@all")
    told(server.replace("/0", "/3"), "SET", "where", "three")

    async def ask(user: str) -> object:
        url = server.replace("//", f"//{user}@").replace("/0", "/3")
        async with connected(url) as connection:
            return await connection.call([packed("GET", "where")])

    assert [b"three"] == asyncio.run(ask("reader:se%20cret"))
    with pytest.raises(ReplyError, match="WRONGPASS"):
        asyncio.run(ask("reader:guess"))


def test_a_refused_command_is_told_and_the_next_one_answered(server):
    """Nobody gets another's reply afterwards."""

    async def ask() -> None:
        async with connected(server) as connection:
            await connection.call([packed("SET", "text", "x")])
            with pytest.raises(ReplyError, match="WRONGTYPE"):
                await connection.call([packed("HMGET", "text", "a"), packed("ECHO", "b")])
            assert [b"c"] == await connection.call([packed("ECHO", "c")])

    asyncio.run(ask())


def test_a_connection_that_was_closed_meanwhile_is_opened_again(server):
    """Who asks does not notice, nor do those who ask at the same time."""

    async def ask() -> None:
        async with connected(server) as connection:
            await connection.call([packed("PING")])
            for _ in range(3):
                told(server, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                calls = [connection.call([packed("ECHO", str(number))]) for number in range(5)]
                assert [[str(number).encode()] for number in range(5)] == await asyncio.gather(*calls)

    asyncio.run(ask())


def test_an_absent_server_and_a_silent_one_are_told():
    """A late answer is not taken for the next question's: the connection is given up."""
    heard: list[bytes] = []

    def once(words: bytes) -> bytes:
        heard.append(words)
        return b"" if len(heard) == 1 else b"+OK\r\n" if b"SELECT" in words else b"$1\r\nx\r\n"

    async def ask() -> None:
        async with connected("redis://127.0.0.1:1/0") as connection:
            with pytest.raises(OSError, match="Connect"):
                await connection.call([packed("PING")])
        async with answering(once) as url, connected(url, answer_seconds=0.2) as connection:
            with pytest.raises(TimeoutError, match="no answer within"):
                await connection.call([packed("ECHO", "never")])
            assert [b"x"] == await connection.call([packed("ECHO", "x")])

    asyncio.run(ask())


def test_noise_is_refused():
    """A server of another protocol fails the call, and nobody waits for ever."""

    async def ask() -> None:
        async with answering(lambda _: b"HTTP/1.1 400\r\n") as url, connected(url) as connection:
            for _ in range(2):
                with pytest.raises(HiredisError):
                    await connection.call([packed("PING")])

    asyncio.run(ask())
