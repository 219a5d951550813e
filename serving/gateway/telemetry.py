"""Prometheus metrics of the gateway, in a registry of its own; docs/telemetry.md lists them."""

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from include.contracts.predictions import PredictionRow, Source
from serving.gateway.instruments import Counts, Distributions, Timer

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_HOUR = 3600.0
_AGES = tuple(_HOUR * hours for hours in (1, 3, 6, 12, 24, 36, 48, 72, 168, 336, 720))
STAGES = ("auth", "features", "model", "log", "sync", "total")


class Telemetry:
    """All metrics; names carry the prefix `gateway_`, but for those of the process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        self.fallbacks = Counts(
            "gateway_fallbacks", "Answers not as assigned.", ("model", "reason"), registry
        )
        self.log_bytes = Counter(
            "gateway_log_bytes", "Bytes appended to the prediction log.", registry=registry
        )
        self.log_dropped = Counter(
            "gateway_log_dropped", "Rows that were answered for and not logged.", registry=registry
        )
        self.log_lag_rows = Gauge(
            "gateway_log_lag_rows", "Rows appended and not durable yet.", registry=registry
        )
        self.log_lag_bytes = Gauge(
            "gateway_log_lag_bytes", "Bytes appended and not durable yet.", registry=registry
        )
        self.damaged_segments = Counter(
            "gateway_damaged_segments",
            "Log segments found damaged at the start.",
            ("log",),
            registry=registry,
        )
        self.rate_limited = Counter(
            "gateway_rate_limited", "Requests over a key's limit.", ("key_id",), registry=registry
        )
        self.coordination_misses = Counter(
            "gateway_coordination_misses",
            "Calls that went without what gateways share, since it was away.",
            registry=registry,
        )
        self.batch_sizes = Distributions(
            "gateway_batch_size", "Entities in one batch.", ("model",), _ROWS, registry
        )
        self.shadowed = Counts(
            "gateway_shadow_requests",
            "Mirrored requests, by what became of them.",
            ("model", "outcome"),
            registry,
        )
        self._queue_depth = Gauge(
            "gateway_queue_depth", "Entities that wait for a batch.", ("model",), registry=registry
        )
        self.shed = Counts(
            "gateway_shed_requests", "Requests refused since the queue was full.", ("model",), registry
        )
        self.breaker_changes = Counts(
            "gateway_breaker_changes",
            "Changes of a version's circuit breaker, by what it changed to.",
            ("model", "version", "state"),
            registry,
        )
        self.ejections = Counts(
            "gateway_endpoint_ejections", "Endpoints left out.", ("model", "endpoint"), registry
        )
        self.retries = Counts(
            "gateway_retried_calls", "Calls made again at another endpoint.", ("model",), registry
        )
        self.predictions = Distributions(
            "gateway_prediction_seconds",
            "From a request's arrival to its row in the log.",
            ("model", "variant", "version"),
            _SECONDS,
            registry,
        )
        self.feature_ages = Distributions(
            "gateway_feature_age_seconds",
            "Age of the oldest view a prediction was made of.",
            ("model",),
            _AGES,
            registry,
        )
        self._requests = Counts(
            "gateway_requests", "Requests by route and status.", ("route", "status"), registry
        )
        stages = Distributions("gateway_stage_seconds", "Latency by stage.", ("stage",), _SECONDS, registry)
        self._stages = {stage: stages.of(stage) for stage in STAGES}

    def watch_queue(self, model: str, depth: Callable[[], float]) -> None:
        """Ask for the depth of a model's queue whenever somebody looks."""
        self._queue_depth.labels(model).set_function(depth)

    def stage(self, name: str) -> Timer:
        """Return a context that observes how long the block takes, also when it fails."""
        return self._stages[name].time()

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request and observe how long it took."""
        self._requests.add(route, str(status))
        self._stages["total"].observe(seconds)

    def logged(self, rows: Sequence[PredictionRow]) -> None:
        """Observe a batch of one model once its rows are in the log."""
        ages = []
        for row in rows:
            variant = row.assigned_variant or row.source
            self.predictions.of(row.model, variant, row.served_version or "none").observe(row.latency_seconds)
            if row.source is not Source.LIVE:
                continue
            if row.fallback_reason is not None:
                self.fallbacks.add(row.model, row.fallback_reason)
            moments = [moment for moment in row.feature_timestamps.values() if moment is not None]
            if moments:
                ages.append((row.predicted_at - min(moments)).total_seconds())
        if ages:
            self.feature_ages.of(rows[0].model).observe_many(ages)
