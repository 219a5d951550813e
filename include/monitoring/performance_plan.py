"""What a run of `<model>_performance` looks at: metrics, days, and how long labels are waited for."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from include.contracts.errors import ContractError
from include.contracts.measurements import Measurement, Monitor
from include.contracts.model import Metric, ModelContract
from include.contracts.monitoring import PerformanceMonitoring
from include.contracts.watched import watched_metrics
from include.monitoring.history import ONE_DAY

WEEK = timedelta(days=7)
"""Length of the rolling window: few labels a day still add up."""


@dataclass(frozen=True)
class Window:
    """Whole days that are looked at together, [start, end)."""

    start: datetime
    end: datetime

    @property
    def days(self) -> int:
        """How many."""
        return (self.end - self.start) // ONE_DAY


@dataclass(frozen=True)
class Plan:
    """What a run looks at."""

    contract: ModelContract
    rules: PerformanceMonitoring
    metrics: tuple[Metric, ...]
    as_of: datetime

    @property
    def wait(self) -> timedelta:
        """How long a label is waited for: the contract's minimum, or the label's own delay if longer."""
        return max(self.rules.label_delay, self.contract.label.delay)

    @property
    def newest(self) -> datetime:
        """Midnight of the newest day whose labels are due."""
        return midnight_of(self.as_of - self.wait)

    @property
    def overlap(self) -> int:
        """Days in a row whose labels share what they saw."""
        return max(1, -(-self.contract.label.delay // ONE_DAY))

    def windows(self, day: datetime) -> tuple[Window, ...]:
        """Return what of a day is judged: the day itself, and of the newest the week that ends with it."""
        end = day + ONE_DAY
        return (Window(day, end), Window(end - WEEK, end)) if day == self.newest else (Window(day, end),)

    def measurement(self, window: Window, **fields: object) -> Measurement:
        """Return a measurement of this monitor."""
        named = {"model": self.contract.name, "monitor": Monitor.PERFORMANCE}
        bounds = {"window_start": window.start, "window_end": window.end}
        return Measurement.model_validate(named | bounds | fields)


def plan_of(contract: ModelContract, as_of: datetime) -> Plan:
    """Return what a run looks at.

    Raises:
        ContractError: the contract has no performance monitoring.
    """
    rules = contract.monitoring.performance_monitoring
    if rules is None:
        raise ContractError(f"{contract.name}: its contract has no monitoring.performance_monitoring")
    return Plan(contract, rules, tuple(dict.fromkeys(watched_metrics(contract).values())), as_of)


def midnight_of(moment: datetime) -> datetime:
    """Return the midnight a moment's UTC day began with."""
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)
