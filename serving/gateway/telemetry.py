"""Prometheus metrics of the gateway, in a registry of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
STAGES = ("auth", "features", "model", "log", "total")


class Telemetry:
    """All metrics; names carry the prefix `gateway_`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "gateway_requests", "Requests by route and status.", ("route", "status"), registry=self.registry
        )
        self.fallbacks = Counter(
            "gateway_fallbacks", "Answers not as assigned.", ("model", "reason"), registry=self.registry
        )
        self.log_bytes = Counter(
            "gateway_log_bytes", "Bytes appended to the prediction log.", registry=self.registry
        )
        self.damaged_segments = Counter(
            "gateway_damaged_segments",
            "Log segments found damaged at the start.",
            ("log",),
            registry=self.registry,
        )
        self.batch_size = Histogram(
            "gateway_batch_size", "Entities in one batch.", buckets=_ROWS, registry=self.registry
        )
        self.queue_depth = Gauge(
            "gateway_queue_depth", "Entities that wait for a batch.", ("model",), registry=self.registry
        )
        stages = Histogram(
            "gateway_stage_seconds", "Latency by stage.", ("stage",), buckets=_SECONDS, registry=self.registry
        )
        self._stages = {stage: stages.labels(stage) for stage in STAGES}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Observe how long the block takes, also when it fails."""
        started = perf_counter()
        try:
            yield
        finally:
            self.observe(name, perf_counter() - started)

    def observe(self, stage: str, seconds: float) -> None:
        """Record one duration of a stage."""
        self._stages[stage].observe(seconds)
