"""Which online store Feast writes and the gateway reads: SQLite under the home folder, or Redis."""

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from include.config.settings import Settings
from include.contracts.errors import PlatformError

if TYPE_CHECKING:
    from redis import Redis

SECURE = "rediss"
"""Scheme of a URL whose server is spoken to over TLS."""
PORT = 6379
_SCHEMES = ("redis", SECURE)
CONNECT_SECONDS, ANSWER_SECONDS = 2, 10
"""Seconds after which a silent server counts as failed."""
_PATIENCE = (f"socket_connect_timeout={CONNECT_SECONDS}", f"socket_timeout={ANSWER_SECONDS}")


def is_redis(settings: Settings) -> bool:
    """Say whether the online store is Redis."""
    return bool(settings.online_store_url)


def redis_connection(url: str) -> str:
    """Return Feast's connection string of a Redis URL, `redis[s]://[user:password@]host[:port][/database]`.

    Raises:
        PlatformError: it is no such URL; the message does not carry it, since it may hold a password.
    """
    parts = urlsplit(url)
    database = parts.path.strip("/") or "0"
    if parts.scheme not in _SCHEMES or not parts.hostname or not database.isdecimal():
        raise PlatformError(
            "NINETY_ONLINE_STORE_URL is no Redis URL; write redis://host:port/database, or nothing for SQLite"
        )
    options = [f"{parts.hostname}:{parts.port or PORT}", f"db={database}", *_PATIENCE]
    options += ["ssl=true"] if parts.scheme == SECURE else []
    options += [f"username={unquote(parts.username)}"] if parts.username else []
    # Feast reads an option as JSON where it can: a password of digits would become a number.
    options += [f'password="{unquote(parts.password)}"'] if parts.password else []
    return ",".join(options)


def redis_client(settings: Settings) -> "Redis":
    """Return a client of the Redis that is the online store; it connects at its first call.

    Raises:
        PlatformError: the store's URL is wrong.
    """
    # Only imported where it is used.
    from redis import Redis  # noqa: PLC0415

    redis_connection(settings.online_store_url)
    return Redis.from_url(
        settings.online_store_url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=ANSWER_SECONDS
    )


def store_configuration(settings: Settings) -> dict[str, Any]:
    """Return where the store lies, as Feast's `online_store` block has it.

    Raises:
        PlatformError: the store's URL is wrong.
    """
    if is_redis(settings):
        return {"type": "redis", "connection_string": redis_connection(settings.online_store_url)}
    return {"type": "sqlite", "path": str(settings.online_store)}
