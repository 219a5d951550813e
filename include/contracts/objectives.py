"""Service objectives: what a model's answers promise, and how fast its error budget may be spent."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from include.contracts.alerts import Severity
from include.contracts.model import Objectives

PERIOD = timedelta(days=30)
"""The time an error budget is for."""
_P99 = 0.99


class Objective(StrEnum):
    """What is promised of the requests of a model."""

    AVAILABILITY = "availability"
    """They are answered, by a fallback if need be."""
    LATENCY = "latency"
    """Those that are answered are answered in time."""

    def target(self, objectives: Objectives) -> float:
        """Return the share of requests that must be good; the rest of 1 is the error budget."""
        return objectives.availability if self is Objective.AVAILABILITY else _P99


class BurnReason(StrEnum):
    """Why an objective is judged as it is."""

    WITHIN_BUDGET = "within_budget"
    BURNING = "burning"
    """In a long and its short window the budget is spent too fast, and chance does not explain it."""
    BUDGET_SPENT = "budget_spent"
    """Nothing is wrong now, but the period's budget is gone."""
    TOO_FEW_REQUESTS = "too_few_requests"
    NO_REQUESTS = "no_requests"


@dataclass(frozen=True)
class BurnWindow:
    """Two windows that must both burn: the long one shows that it matters, the short that it goes on."""

    long: timedelta
    short: timedelta
    rate: float
    """How many times too fast; at 1 the budget lasts its period exactly."""
    severity: Severity

    @property
    def spent_ratio(self) -> float:
        """Part of the period's budget that is gone when the long window fires."""
        return self.rate * (self.long / PERIOD)


BURN_WINDOWS = (
    BurnWindow(timedelta(hours=1), timedelta(minutes=5), 14.4, Severity.CRITICAL),
    BurnWindow(timedelta(hours=6), timedelta(minutes=30), 6.0, Severity.ERROR),
    BurnWindow(timedelta(days=3), timedelta(hours=6), 1.0, Severity.WARNING),
)
"""Google, The Site Reliability Workbook (2018), chapter 5, table 5-8: 2, 5 and 10 % of the budget."""
