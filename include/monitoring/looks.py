"""How often a monitor looks: each look is another chance to be wrong."""

from datetime import UTC, datetime, timedelta
from functools import cache

from croniter import croniter_range

from include.contracts.schedules import cron_of

_FOUR_WEEKS = timedelta(weeks=4)
_A_MONDAY = datetime(2001, 1, 1, tzinfo=UTC)


@cache
def looks_per_week(schedule: str) -> float:
    """Return how often a schedule runs in a week, on average over four; never less than once."""
    last = _A_MONDAY + _FOUR_WEEKS - timedelta(seconds=1)
    return max(1.0, sum(1 for _ in croniter_range(_A_MONDAY, last, cron_of(schedule))) / 4)
