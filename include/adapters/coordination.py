"""What gateways share through Redis: token buckets, and who answers which request.

Each call is one script over all that is asked at once, atomic, by the server's own clock. Keys share one
hash tag, so that a cluster holds them in one place.

`ninety:{shared}:limit:<key>`: "level moment", as `serving.gateway.token_bucket` has them; gone once full.
`ninety:{shared}:request:<digest>`: hash of `body`, `owner` and `until` (milliseconds) while it is claimed,
`answers` once there are some, and `done` once there are all.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from include.contracts.errors import CoordinationError, PlatformError

PATIENCE_SECONDS = 0.5
"""After this a silent server counts as away."""

_PREFIX = "ninety:{shared}"

_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local waits = {}
for i, key in ipairs(KEYS) do
  local rate, full = tonumber(ARGV[3 * i - 2]), ARGV[3 * i - 1] * 1000000000
  local level = full
  local kept = redis.call('GET', key)
  if kept then
    local left, at = string.match(kept, '(%d+) (%d+)')
    level = math.min(full, left + rate * math.max(0, now - at))
  end
  local cost = ARGV[3 * i] * 1000000000
  if level < cost then
    waits[i] = math.ceil((cost - level) / rate)
  else
    local milliseconds = math.ceil((full - level + cost) / rate / 1000) + 1000
    redis.call('SET', key, string.format('%.0f %.0f', level - cost, now), 'PX', milliseconds)
    waits[i] = 0
  end
end
return waits
"""

_CLAIM = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local claims = {}
for i, key in ipairs(KEYS) do
  local held = redis.call('HMGET', key, 'body', 'done', 'until', 'answers')
  if held[1] and held[1] ~= ARGV[3 + i] then
    claims[i] = {3, ''}
  elseif held[2] then
    claims[i] = {1, held[4]}
  elseif held[3] and tonumber(held[3]) > now then
    claims[i] = {2, ''}
  else
    local ends = string.format('%.0f', now + ARGV[2])
    redis.call('HSET', key, 'body', ARGV[3 + i], 'owner', ARGV[1], 'until', ends)
    redis.call('PEXPIRE', key, ARGV[3])
    claims[i] = {0, held[4] or ''}
  end
end
return claims
"""

_KEEP = """
for i, key in ipairs(KEYS) do
  if redis.call('HGET', key, 'owner') == ARGV[1] then
    redis.call('HSET', key, 'answers', ARGV[2 * i + 1])
    redis.call('HDEL', key, 'owner', 'until')
    if ARGV[2 * i + 2] == '1' then redis.call('HSET', key, 'done', '1') end
    redis.call('PEXPIRE', key, ARGV[2])
  end
end
return #KEYS
"""


@dataclass(frozen=True, slots=True)
class Take:
    """Tokens asked of a shared bucket."""

    bucket: str
    rate: int
    """Thousandths of a token a second."""
    burst: int
    tokens: int


class ClaimState(IntEnum):
    """What became of a claim."""

    CLAIMED = 0
    ANSWERED = 1
    BUSY = 2
    OTHER_BODY = 3


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose a request is now, and the answers there are; empty where there are none."""

    state: ClaimState
    answers: bytes


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to a claimed request; unless they are complete, it is free to be claimed again."""

    request: str
    content: bytes
    is_complete: bool


class Coordination:
    """One gateway's connection; nothing is connected before the first call."""

    def __init__(self, url: str, window_seconds: float, claim_seconds: float) -> None:
        """Prepare a connection.

        Args:
            url: `redis[s]://[user:password@]host[:port][/database]`.
            window_seconds: how long answers are kept.
            claim_seconds: how long a request stays its owner's who does not answer.

        Raises:
            PlatformError: it is no such URL; the message does not carry it, since it may hold a password.
        """
        self._owner = uuid4().hex
        self._window, self._claim = round(window_seconds * 1000), round(claim_seconds * 1000)
        self._redis = _client(url)
        self._take, self._claims, self._keep = map(self._redis.register_script, (_TAKE, _CLAIM, _KEEP))

    async def take(self, takes: Sequence[Take]) -> list[int]:
        """Take tokens of each bucket, all that one asks for or none.

        Returns:
            By take: 0, or the microseconds after which the tokens would be there.

        Raises:
            CoordinationError: the server cannot be reached; what was taken is unknown.
        """
        keys = [f"{_PREFIX}:limit:{take.bucket}" for take in takes]
        arguments = [number for take in takes for number in (take.rate, take.burst, take.tokens)]
        return [int(wait) for wait in await _called(lambda: self._take(keys, arguments))]

    async def claim(self, requests: Sequence[tuple[str, str]]) -> list[Claim]:
        """Claim requests, each by its id and its body's hash.

        Raises:
            CoordinationError: the server cannot be reached; what was claimed is unknown.
        """
        arguments = [self._owner, self._claim, self._window, *(body for _, body in requests)]
        keys = [f"{_PREFIX}:request:{request}" for request, _ in requests]
        replies = await _called(lambda: self._claims(keys, arguments))
        return [Claim(ClaimState(state), answers) for state, answers in replies]

    async def keep(self, answered: Sequence[Answers]) -> None:
        """Keep the answers to requests that are still ours.

        Raises:
            CoordinationError: the server cannot be reached.
        """
        keys = [f"{_PREFIX}:request:{item.request}" for item in answered]
        kept = [part for item in answered for part in (item.content, int(item.is_complete))]
        await _called(lambda: self._keep(keys, [self._owner, self._window, *kept]))

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()


def _client(url: str) -> "redis.asyncio.Redis":
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise PlatformError("NINETY_COORDINATION_URL is no Redis URL; write redis://host:port/database")
    return redis.asyncio.Redis.from_url(
        url,
        socket_timeout=PATIENCE_SECONDS,
        socket_connect_timeout=PATIENCE_SECONDS,
        # A connection that the server closed meanwhile is opened again; a silent server is not asked twice.
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )


async def _called(script: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - what a script returns
    try:
        return await script()
    except (RedisError, OSError, TimeoutError) as error:
        raise CoordinationError(f"Redis cannot be used: {type(error).__name__}: {error}") from error
