"""Instruments for the hot path: plain numbers, turned into Prometheus' families only when they are read.

prometheus_client's own take a lock and look labels up each time, a microsecond and more; these take a tenth
of that, and a whole batch at once. They are for the event loop alone: neither writers nor the reader lock.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from time import perf_counter
from types import TracebackType

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector


class Counts(Collector):
    """A counter by labels."""

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str], registry: CollectorRegistry
    ) -> None:
        self._described = (name, documentation, tuple(labels))
        self._values: dict[tuple[str, ...], float] = {}
        registry.register(self)

    def add(self, *labels: str, amount: float = 1) -> None:
        """Count what carries these labels' values."""
        self._values[labels] = self._values.get(labels, 0) + amount

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the family."""
        name, documentation, labels = self._described
        family = CounterMetricFamily(name, documentation, labels=labels)
        for values, count in self._values.items():
            family.add_metric(values, count)
        yield family


class Distribution:
    """Observations by bucket."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Args: bounds: inclusive upper bounds of the buckets, ascending; above them lies one more."""
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Add one observation."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def observe_many(self, values: Sequence[float]) -> None:
        """Add several observations."""
        counts, bounds = self._counts, self._bounds
        for value in values:
            counts[bisect_left(bounds, value)] += 1
        self._sum += sum(values)

    def time(self) -> "Timer":
        """Return a context that observes its seconds, also when it fails."""
        return Timer(self)

    @property
    def sum(self) -> float:
        """Sum of all observations."""
        return self._sum

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """Upper bounds, as Prometheus writes them, with the observations up to each."""
        bounds = (*(str(float(bound)) for bound in self._bounds), "+Inf")
        return list(zip(bounds, accumulate(self._counts), strict=True))


class Timer:
    """Observes how long its block takes."""

    __slots__ = ("_distribution", "_started")

    def __init__(self, distribution: Distribution) -> None:
        self._distribution = distribution

    def __enter__(self) -> None:
        """Start."""
        self._started = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Observe."""
        self._distribution.observe(perf_counter() - self._started)


class Distributions(Collector):
    """A histogram by labels; whoever observes often keeps the distribution of its labels."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        bounds: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._described = (name, documentation, tuple(labels))
        self._bounds = tuple(bounds)
        self._children: dict[tuple[str, ...], Distribution] = {}
        registry.register(self)

    def of(self, *labels: str) -> Distribution:
        """Return the distribution of these labels' values."""
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = Distribution(self._bounds)
        return child

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the family."""
        name, documentation, labels = self._described
        family = HistogramMetricFamily(name, documentation, labels=labels)
        for values, child in self._children.items():
            family.add_metric(values, child.buckets, child.sum)
        yield family
