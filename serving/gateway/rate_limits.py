"""Rate limits: a token bucket a key, here or shared, and one for all who show no valid key."""

from collections.abc import Iterable, Sequence
from time import monotonic_ns

from include.adapters.coordination import Take
from include.contracts.keys import ApiKey
from serving.gateway.coalescer import Coalescer
from serving.gateway.problems import OVER_BURST, RATE_LIMITED, TOO_MANY_FAILURES, Problem
from serving.gateway.shared_state import SharedState
from serving.gateway.telemetry import Telemetry
from serving.gateway.token_bucket import Bucket, Limit, full_bucket, limit_of

MOST_TAKES = 512
"""Most requests whose tokens one call of Redis takes."""

FAILURES = Limit(rate=100_000, burst=200)
"""Requests without a valid key that get a 401 and a line in the log: 100 a second."""

_SECOND = 1_000_000


class RateLimits:
    """The buckets of this gateway; a key without a limit has none, and pays nothing."""

    def __init__(self, telemetry: Telemetry, shared: SharedState | None = None) -> None:
        """Args: shared: counts what all gateways admit together; without it, this one counts for itself."""
        self._telemetry = telemetry
        self._shared = shared
        self._buckets: dict[str, Bucket] = {}
        self._failures = full_bucket(FAILURES, _now())
        self._takes: Coalescer[Take, int] = Coalescer(self._take_shared, MOST_TAKES)

    def swap(self, keys: Iterable[ApiKey]) -> None:
        """Keep a bucket for each of these keys; those that were there stay as full as they are."""
        now, before = _now(), self._buckets
        limits = {key.key_id: limit for key in keys if (limit := limit_of(key)) is not None}
        self._buckets = {name: before.get(name) or full_bucket(limit, now) for name, limit in limits.items()}

    def admit_here(self, key: ApiKey, tokens: int) -> bool:
        """Let a key's caller ask about as many entities, where this gateway alone can say so.

        Returns:
            Whether the caller is let in; if not, gateways count together, and `admit` says.

        Raises:
            Problem: as `admit`.
        """
        bucket = self._buckets.get(key.key_id)
        if bucket is None:
            return True
        if tokens > bucket.limit.burst:
            raise Problem(OVER_BURST, f"{tokens} at once; the key lets {bucket.limit.burst} pass")
        if self._shared is None:
            self._refuse_after(bucket.take(tokens, _now()), key)
        return self._shared is None

    async def admit(self, key: ApiKey, tokens: int) -> None:
        """Let a key's caller ask about as many entities.

        Raises:
            Problem: 429 over the key's limit, with the seconds after which it would pass; 422 for more at
                once than it ever lets pass.
        """
        if self.admit_here(key, tokens):
            return
        limit = self._buckets[key.key_id].limit
        self._refuse_after(await self._takes.ask(Take(key.key_id, limit.rate, limit.burst, tokens)), key)

    def _refuse_after(self, wait: int, key: ApiKey) -> None:
        if wait:
            self._telemetry.rate_limited.labels(key.key_id).inc()
            raise _too_fast(wait)

    def note_failure(self) -> None:
        """Count a request without a valid key.

        Raises:
            Problem: 429, there are too many of them: this one is not worth an answer of its own.
        """
        wait = self._failures.take(1, _now())
        if wait:
            detail = "too many requests without a valid key reach this gateway"
            raise Problem(TOO_MANY_FAILURES, detail, retry_after_seconds=_whole_seconds(wait))

    async def _take_shared(self, takes: Sequence[Take]) -> Sequence[int]:
        """Take all at once where all gateways see it; alone, each from this gateway's own bucket."""
        shared = self._shared
        waits = None if shared is None else await shared.attempt(lambda redis: redis.take(takes))
        return [self._take_here(take) for take in takes] if waits is None else waits

    def _take_here(self, take: Take) -> int:
        bucket = self._buckets.get(take.bucket)
        # A key that was swapped out meanwhile was let in before.
        return 0 if bucket is None else bucket.take(take.tokens, _now())


def _now() -> int:
    return monotonic_ns() // 1000


def _too_fast(wait: int) -> Problem:
    detail = "the key's limit of entities a second is reached"
    return Problem(RATE_LIMITED, detail, retry_after_seconds=_whole_seconds(wait))


def _whole_seconds(wait: int) -> int:
    """Return microseconds, more than none, as whole seconds: later than it would pass, never earlier."""
    return -(-wait // _SECOND)
