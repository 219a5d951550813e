"""Token buckets in whole numbers: nothing is lost to rounding, however long a bucket lives.

Time is in microseconds and tokens in billionths, so that a rate in thousandths of a token a second is the
number of billionths that one microsecond brings. The Lua of `include.adapters.coordination` does the same
sums; they stay below 2**53, where its floating point is exact.
"""

from dataclasses import dataclass

from include.contracts.keys import ApiKey

BILLION = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limit:
    """How fast a bucket fills, and how much it holds."""

    rate: int
    """Thousandths of a token a second; at least 1."""
    burst: int
    """Tokens of a full bucket; at least 1."""


@dataclass(slots=True)
class Bucket:
    """Tokens that are left at a moment, of a monotonic clock in microseconds."""

    limit: Limit
    level: int
    """Billionths of a token."""
    at: int

    def take(self, tokens: int, now: int) -> int:
        """Take tokens, all or none, and return 0; or the microseconds after which they would be there.

        More than the burst is never there: the caller must have refused that.
        """
        level = min(self.limit.burst * BILLION, self.level + self.limit.rate * (now - self.at))
        missing = tokens * BILLION - level
        if missing > 0:
            return -(-missing // self.limit.rate)
        self.level, self.at = -missing, now
        return 0


def full_bucket(limit: Limit, now: int) -> Bucket:
    """Return a bucket that nothing was taken from yet."""
    return Bucket(limit, limit.burst * BILLION, now)


def limit_of(key: ApiKey) -> Limit | None:
    """Return a key's limit, its rate rounded to a thousandth; None where it has none."""
    if key.rate_per_second is None or key.most_at_once is None:
        return None
    return Limit(round(key.rate_per_second * 1000), key.most_at_once)
