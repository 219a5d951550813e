"""Features online in Redis: one batch of look-ups is one write and one wait on the event loop."""

import asyncio
from collections.abc import Iterable

import msgspec
from hiredis import HiredisError

from include.adapters.online_backend import ANSWER_SECONDS, CONNECT_SECONDS, redis_connection
from include.adapters.online_rows import PROJECT, VIEWS_KEY, Stamped, field_of, unpack_stamped
from include.adapters.redis_connection import RedisConnection, packed
from include.config.settings import Settings

_PROJECT = PROJECT.encode()


class OnlineRedis:
    """Reads entities' hashes by their keys' bytes."""

    failures: tuple[type[Exception], ...] = (HiredisError, msgspec.DecodeError, LookupError, OSError)

    def __init__(self, settings: Settings) -> None:
        """Prepare a connection.

        Raises:
            PlatformError: the store's URL is wrong.
        """
        redis_connection(settings.online_store_url)
        self._url = settings.online_store_url
        patience = settings.deadline_seconds
        # Whoever is answered meanwhile has a deadline: a silent server must not outlive it.
        self._connection = RedisConnection(
            self._url, min(CONNECT_SECONDS, patience), min(ANSWER_SECONDS, patience)
        )
        self._known: frozenset[str] = frozenset()

    def read(self, keys: list[bytes], views: Iterable[str]) -> dict[str, list[Stamped | None]]:
        """Return what `fetch` does, on a connection that is made for it: for who has no event loop."""
        return asyncio.run(self._read_once(keys, tuple(views)))

    async def fetch(self, keys: list[bytes], views: Iterable[str]) -> dict[str, list[Stamped | None]]:
        """Return the views' values by view, in the order of the keys; None where there are none."""
        return await self._fetched(self._connection, keys, tuple(views))

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def _read_once(self, keys: list[bytes], views: tuple[str, ...]) -> dict[str, list[Stamped | None]]:
        connection = RedisConnection(self._url, CONNECT_SECONDS, ANSWER_SECONDS)
        try:
            return await self._fetched(connection, keys, views)
        finally:
            await connection.close()

    async def _fetched(
        self, connection: RedisConnection, keys: list[bytes], views: tuple[str, ...]
    ) -> dict[str, list[Stamped | None]]:
        if not self._known.issuperset(views):
            await self._look_up(connection, views)
        fields = [field_of(view) for view in views]
        found = await connection.call([packed(b"HMGET", key + _PROJECT, *fields) for key in keys])
        return {view: [_stamped(reply[place]) for reply in found] for place, view in enumerate(views)}

    async def _look_up(self, connection: RedisConnection, views: Iterable[str]) -> None:
        (members,) = await connection.call([packed("SMEMBERS", VIEWS_KEY)])
        self._known = frozenset(member.decode() for member in members)
        if unknown := sorted(set(views) - self._known):
            raise LookupError(f"no view {', '.join(unknown)} is there")


def _stamped(packed: bytes | None) -> Stamped | None:
    return None if packed is None else unpack_stamped(packed)
