"""Puts the gateway together: logs, feature store, Triton, ledger, application."""

from asyncio import to_thread
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from logging import ERROR, INFO, getLogger

from include.adapters.artefact_home import artefact_store
from include.adapters.ledger.ledger import Ledger
from include.adapters.outcome_log import OutcomeLog
from include.adapters.packages import proven_golden
from include.adapters.prediction_log import PredictionLog, recover
from include.adapters.segments import Recovery
from include.adapters.triton_inference import TritonInference
from include.config.models import model_folders
from include.config.settings import Settings
from include.config.transforms import Transform, load_transform
from serving.gateway.app import Gateway
from serving.gateway.breakers import Breakers
from serving.gateway.dataplane import Dataplane
from serving.gateway.endpoints import Endpoints
from serving.gateway.golden_check import GoldenCheck
from serving.gateway.openapi import documentation
from serving.gateway.outcomes import Outcomes
from serving.gateway.pipeline import Backends
from serving.gateway.ports import FeatureReader, LedgerReader
from serving.gateway.rate_limits import RateLimits
from serving.gateway.recorder import Recorder
from serving.gateway.request_memory import remember_requests, request_window
from serving.gateway.routes import RoutePoller
from serving.gateway.shadow import Shadows
from serving.gateway.shared_state import shared_state
from serving.gateway.telemetry import Telemetry
from serving.gateway.tracing import Propagation, Tracing
from serving.gateway.triton_pool import TritonPool

_log = getLogger(__name__)


def wall_clock() -> datetime:
    """Return the time now, aware UTC."""
    return datetime.now(UTC)


def gateway(
    settings: Settings,
    features: FeatureReader,
    ledger: Callable[[], LedgerReader],
    clock: Callable[[], datetime] = wall_clock,
) -> Gateway:
    """Return the application over a feature store and a ledger, which is opened when first polled.

    Torn tails that a killed gateway left in the logs are set aside and counted before new rows are written;
    a damaged segment is reported and does not keep it from serving.
    """
    telemetry = Telemetry()
    _report("predictions", recover(settings.predictions_folder), telemetry)
    tracing = tracing_of(settings)
    shared = shared_state(settings, telemetry)
    inference = triton_pool(settings, telemetry)
    log = PredictionLog(settings.predictions_folder, settings.segment_bytes, settings.log_durability)
    telemetry.log_lag_rows.set_function(lambda: log.lag.records)
    telemetry.log_lag_bytes.set_function(lambda: log.lag.size)
    outcome_log = OutcomeLog(settings.outcomes_folder, settings.segment_bytes)
    _report("outcomes", outcome_log.recovery, telemetry)
    backends = Backends(
        features=features,
        inference=inference,
        log=Recorder(log, telemetry, settings.log_policy),
        clock=clock,
        telemetry=telemetry,
        max_batch=settings.max_batch,
        batches_in_flight=settings.batches_in_flight,
        deadline_seconds=settings.deadline_seconds,
        queue_entities=settings.queue_entities,
        queue_wait_seconds=settings.queue_wait_seconds,
        breakers=Breakers(telemetry),
        tracing=tracing,
    )
    shadow_inference = triton_pool(settings, telemetry)
    aside = replace(backends, inference=shadow_inference, breakers=Breakers(telemetry))
    shadows = Shadows(aside, settings.shadow_queue)
    dataplane = Dataplane(
        backends,
        request_window(settings, shared),
        partial(transform_of, settings),
        RateLimits(telemetry, shared),
        shadows,
    )
    poller = RoutePoller(ledger, settings.gateway_folder, dataplane)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        await poller.start()
        await to_thread(remember_requests, settings, dataplane)
        try:
            yield
        finally:
            await poller.stop()
            await shadows.stop()
            await shadow_inference.close()
            await inference.close()
            if shared is not None:
                await shared.close()
            await features.close()
            log.close()
            outcome_log.close()
            await to_thread(tracing.close)

    answering = Endpoints(
        dataplane,
        Outcomes(dataplane, outcome_log, settings.predictions_folder),
        body_limit=settings.body_limit_bytes,
        body_timeout=settings.body_timeout_seconds,
        replay=settings.replay,
    )
    endpoints = answering.all()
    return Gateway(
        (*endpoints, *documentation(endpoints)),
        answering.predicting,
        telemetry,
        tracing,
        lifespan,
        drain=backends.drain,
        body_limit=settings.body_limit_bytes,
        patience_seconds=settings.body_timeout_seconds,
    )


def tracing_of(settings: Settings) -> Tracing:
    """Return how requests take part in traces; what exports spans is imported only where it is used."""
    if not settings.otlp_endpoint:
        return Propagation()
    from serving.gateway.spans import Spans, otlp_exporter  # noqa: PLC0415

    return Spans(otlp_exporter(settings.otlp_endpoint), settings.trace_share)


def triton_pool(settings: Settings, telemetry: Telemetry) -> TritonPool:
    """Return the Tritons, whose golden predictions are read from the artefact store."""
    wire, store = TritonInference(), artefact_store(settings)
    return TritonPool(wire, GoldenCheck(wire, partial(proven_golden, store)), telemetry)


def transform_of(settings: Settings, model: str, name: str) -> Transform:
    """Return a model's transform, its own or a shared one.

    Raises:
        ContractError: there is none of that name, or it is not what a transform must be.
    """
    folder = model_folders(settings.model_folders).get(model)
    return load_transform(name, folder.path if folder else None)


def _report(log: str, recovery: Recovery, telemetry: Telemetry) -> None:
    level = ERROR if recovery.damaged else INFO
    _log.log(level, "log recovered", extra={"fields": {"log": log, **vars(recovery)}})
    telemetry.damaged_segments.labels(log).inc(len(recovery.damaged))


def ledger_of(settings: Settings) -> Callable[[], LedgerReader]:
    """Return what opens the ledger."""
    return lambda: Ledger(settings.ledger_uri, wall_clock)
