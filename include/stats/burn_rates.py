"""How fast an error budget is spent, and whether chance explains it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from scipy.stats import beta

from include.contracts.objectives import BURN_WINDOWS, BurnReason, BurnWindow

MINIMUM_REQUESTS = 10
"""Fewer in a long window say nothing."""
ERROR = 0.025
"""One-sided error of the lower limit a long window is judged by."""


@dataclass(frozen=True)
class Requests:
    """Requests, and how many of them were bad; adds up."""

    total: int
    bad: int

    def __post_init__(self) -> None:
        """Refuse counts that cannot be."""
        if not 0 <= self.bad <= self.total:
            raise ValueError(f"{self.bad} bad requests of {self.total} cannot be")

    def __add__(self, other: "Requests") -> "Requests":
        """Return both together."""
        return Requests(self.total + other.total, self.bad + other.bad)

    def burn_rate(self, target: float) -> float:
        """Return the bad share in units of what the target allows; 0 without requests."""
        return self.bad / self.total / (1.0 - target) if self.total else 0.0

    def least_burn_rate(self, target: float) -> float:
        """Return the lower limit of the burn rate (Clopper & Pearson 1934, Biometrika 26:404).

        Exact, so that one failure among ten requests is no proof that one of a hundred fails.
        """
        if not self.bad:
            return 0.0
        return float(beta.ppf(ERROR, self.bad, self.total - self.bad + 1)) / (1.0 - target)


@dataclass(frozen=True)
class WindowBurn:
    """What a pair of windows shows."""

    window: BurnWindow
    long_rate: float
    least_long_rate: float
    short_rate: float
    requests: int
    """In the long window."""

    @property
    def fires(self) -> bool:
        """Whether the budget is spent too fast: by the long window's lower limit, and still in the short."""
        enough = self.requests >= MINIMUM_REQUESTS
        return enough and self.least_long_rate > self.window.rate and self.short_rate > self.window.rate


@dataclass(frozen=True)
class Burn:
    """What is to be said of an objective."""

    reason: BurnReason
    windows: tuple[WindowBurn, ...]
    budget_left: float | None
    """Part of the period's budget that is left; below 0 it is overdrawn, None without requests."""

    @property
    def worst(self) -> WindowBurn | None:
        """The gravest pair of windows that fires."""
        firing = [each for each in self.windows if each.fires]
        return max(firing, key=lambda each: each.window.severity.rank, default=None)


def judge_burn(
    target: float,
    seen: Mapping[timedelta, Requests],
    period: Requests,
    windows: tuple[BurnWindow, ...] = BURN_WINDOWS,
) -> Burn:
    """Judge an objective.

    Args:
        target: share of requests that must be good.
        seen: the requests of the last so-and-so long, for every length in `windows`.
        period: the requests of the budget's whole period.
        windows: pairs to look at.
    """
    burns = tuple(
        WindowBurn(
            window=each,
            long_rate=seen[each.long].burn_rate(target),
            least_long_rate=seen[each.long].least_burn_rate(target),
            short_rate=seen[each.short].burn_rate(target),
            requests=seen[each.long].total,
        )
        for each in windows
    )
    left = 1.0 - period.burn_rate(target) if period.total else None
    return Burn(_reason(burns, left), burns, left)


def _reason(burns: tuple[WindowBurn, ...], left: float | None) -> BurnReason:
    most = max(each.requests for each in burns)
    if any(each.fires for each in burns):
        return BurnReason.BURNING
    if not most:
        return BurnReason.NO_REQUESTS
    if most < MINIMUM_REQUESTS:
        return BurnReason.TOO_FEW_REQUESTS
    return BurnReason.BUDGET_SPENT if left is not None and left <= 0 else BurnReason.WITHIN_BUDGET
