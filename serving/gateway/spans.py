"""Spans of requests and of their calls to models, exported through OpenTelemetry."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import random

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from include.adapters.trace_propagation import carrying
from include.contracts.trace_context import TraceContext
from serving.gateway.tracing import PassedOn, RequestTrace, caller_context, leading

SERVICE = "ninety-gateway"
EXPORT_SECONDS = 5
"""Longest one export may take; the gateway waits for the last one when it ends."""
_SERVER_ERROR = 500


class Spans:
    """Records the traces that callers record, and a share of the requests that bring none."""

    def __init__(self, exporter: SpanExporter, share: float) -> None:
        self._share = share
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=Resource({SERVICE_NAME: SERVICE}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(SERVICE)

    def begin(self, method: str, headers: Mapping[bytes, bytes]) -> RequestTrace | None:
        """Return a request's span; without one where its caller does not record the trace."""
        parent = caller_context(headers)
        if parent is None:
            return self._request(method, None) if random() < self._share else None  # noqa: S311 - no secret
        return self._request(method, parent) if parent.is_sampled else PassedOn(parent)

    @contextmanager
    def calls(self, name: str, traces: Sequence[RequestTrace]) -> Iterator[None]:
        """Record a span around the calls to a model, child of one request's and linked to the others'."""
        parent = leading(traces)
        if not parent.context.is_sampled:
            with carrying(parent.context):
                yield
            return
        links = [Link(_remote(trace.context)) for trace in traces if trace is not parent]
        span = self._tracer.start_span(
            f"infer {name}",
            set_span_in_context(NonRecordingSpan(_remote(parent.context))),
            SpanKind.CLIENT,
            {"ninety.model": name, "ninety.entities": len(traces)},
            links,
        )
        try:
            with carrying(_context(span)):
                yield
        finally:
            span.end()

    def close(self) -> None:
        """Send the spans that wait."""
        self._provider.shutdown()

    def _request(self, method: str, parent: TraceContext | None) -> "RequestSpan":
        context = None if parent is None else set_span_in_context(NonRecordingSpan(_remote(parent)))
        return RequestSpan(self._tracer.start_span(method, context, SpanKind.SERVER), method)


class RequestSpan:
    """The span of one request."""

    __slots__ = ("_method", "_span", "context")

    def __init__(self, span: Span, method: str) -> None:
        self._span = span
        self._method = method
        self.context = _context(span)

    def end(self, route: str, status: int) -> None:
        """End the span, named by method and route."""
        self._span.update_name(f"{self._method} {route}")
        self._span.set_attributes(
            {
                "http.request.method": self._method,
                "http.route": route,
                "http.response.status_code": status,
            }
        )
        if status >= _SERVER_ERROR:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


def otlp_exporter(endpoint: str) -> SpanExporter:
    """Return what sends spans to a collector's base URL."""
    return OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)


def _remote(context: TraceContext) -> SpanContext:
    return SpanContext(
        int(context.trace_id, 16),
        int(context.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(context.flags),
        trace_state=TraceState.from_header([context.state]) if context.state else None,
    )


def _context(span: Span) -> TraceContext:
    given = span.get_span_context()
    return TraceContext(
        f"{given.trace_id:032x}", f"{given.span_id:016x}", given.trace_flags, given.trace_state.to_header()
    )
