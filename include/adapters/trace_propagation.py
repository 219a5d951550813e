"""The trace that calls to other servers are part of, as gRPC metadata."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from include.contracts.trace_context import TraceContext

Metadata = tuple[tuple[str, str], ...]

_current: ContextVar[Metadata | None] = ContextVar("trace_metadata", default=None)


@contextmanager
def carrying(context: TraceContext) -> Iterator[None]:
    """Let every call from within the block, and from the tasks it starts, carry a trace on."""
    state = (("tracestate", context.state),) if context.state else ()
    token = _current.set((("traceparent", context.traceparent), *state))
    try:
        yield
    finally:
        _current.reset(token)


def trace_metadata() -> Metadata | None:
    """Return what a call must carry; None outside any trace."""
    return _current.get()
