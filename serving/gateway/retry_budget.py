"""A retry budget: retries may add a share to the load, never multiply it."""


class RetryBudget:
    """A token bucket that calls and time fill and retries empty (as Finagle's RetryBudget).

    Of any stretch of time, the retries are at most `most + share * calls + per_second * seconds`.
    The caller brings the time, monotonic seconds.
    """

    def __init__(self, now: float, share: float = 0.1, per_second: float = 2.0, most: float = 10.0) -> None:
        """Make a full bucket.

        Args:
            now: the time.
            share: tokens that one call brings.
            per_second: tokens that a second brings, for a model that is called seldom.
            most: tokens the bucket holds.
        """
        self._share = share
        self._per_second = per_second
        self._most = most
        self._tokens = most
        self._filled_at = now

    def deposit(self, now: float) -> None:
        """Note a call, its retries not counted."""
        gained = self._share + self._per_second * (now - self._filled_at)
        self._tokens = min(self._most, self._tokens + gained)
        self._filled_at = now

    @property
    def has_token(self) -> bool:
        """Whether a retry may be made."""
        return self._tokens >= 1.0

    def withdraw(self) -> bool:
        """Take a retry's token; false, and nothing taken, where there is none."""
        if not self.has_token:
            return False
        self._tokens -= 1.0
        return True
