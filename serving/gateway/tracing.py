"""A request's part in a trace: taken from its headers, passed on to Triton, told in its answer.

Requests of several traces go to Triton in one call. It carries one of their contexts, a recorded one where
there is one; where spans are exported, its span links to the others.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from include.adapters.trace_propagation import carrying
from include.contracts.trace_context import TraceContext, parse_trace_context

HEADER = b"x-trace-id"
"""Response header with the request's trace id."""


class RequestTrace(Protocol):
    """One request of a trace."""

    @property
    def context(self) -> TraceContext:
        """What is passed on."""

    def end(self, route: str, status: int) -> None:
        """Note that the request was answered."""


class Tracing(Protocol):
    """How requests take part in traces."""

    def begin(self, method: str, headers: Mapping[bytes, bytes]) -> RequestTrace | None:
        """Return a request's part in a trace; None where it belongs to none."""

    def calls(self, name: str, traces: Sequence[RequestTrace]) -> AbstractContextManager[None]:
        """Return a context in which calls to a model carry the trace of requests, at least one."""

    def close(self) -> None:
        """Send what was not sent yet."""


class PassedOn:
    """A request that belongs to its caller's trace, without a span of ours."""

    __slots__ = ("context",)

    def __init__(self, context: TraceContext) -> None:
        self.context = context

    def end(self, route: str, status: int) -> None:
        """Record nothing."""


class Propagation:
    """Passes callers' traces on unchanged; a request without one belongs to none."""

    def begin(self, _method: str, headers: Mapping[bytes, bytes]) -> RequestTrace | None:
        """Return the caller's trace; None where it sends none, or an invalid one."""
        context = caller_context(headers)
        return None if context is None else PassedOn(context)

    @contextmanager
    def calls(self, _name: str, traces: Sequence[RequestTrace]) -> Iterator[None]:
        """Let calls to a model carry the context of one of the requests."""
        with carrying(leading(traces).context):
            yield

    def close(self) -> None:
        """Nothing waits to be sent."""


def caller_context(headers: Mapping[bytes, bytes]) -> TraceContext | None:
    """Return the trace that request headers name."""
    parent = headers.get(b"traceparent")
    if parent is None:
        return None
    return parse_trace_context(parent.decode("latin-1"), headers.get(b"tracestate", b"").decode("latin-1"))


def leading(traces: Sequence[RequestTrace]) -> RequestTrace:
    """Return the first recorded of several requests' traces, else the first."""
    return next((trace for trace in traces if trace.context.is_sampled), traces[0])
