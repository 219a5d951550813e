"""W3C Trace Context: which trace a request belongs to, as its headers say.

Source: https://www.w3.org/TR/trace-context/ (Level 1), sections 3.2 and 3.3.
"""

import re
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_INVALID_VERSION = "ff"
_SAMPLED = 1
_MEMBER = re.compile(
    r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
MOST_MEMBERS = 32
LONGEST_STATE = 512
"""Longer states are dropped, which the specification allows."""


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A place in a trace: the span that whoever is called next has for its parent."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""
    flags: int
    state: str = ""
    """`tracestate`, passed on as it came; empty for none."""

    @property
    def is_sampled(self) -> bool:
        """Whether the caller records the trace."""
        return bool(self.flags & _SAMPLED)

    @property
    def traceparent(self) -> str:
        """The header's value, in version 00."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags & _SAMPLED:02x}"


def parse_trace_context(traceparent: str, tracestate: str = "") -> TraceContext | None:
    """Return what the two headers say; None where `traceparent` is invalid, as if it had not been sent.

    An invalid or too long `tracestate` is dropped alone.
    """
    matched = _TRACEPARENT.fullmatch(traceparent)
    if matched is None:
        return None
    version, trace_id, span_id, flags, more = matched.groups()
    if version == _INVALID_VERSION or (version == "00" and more is not None):
        return None
    if int(trace_id, 16) == 0 or int(span_id, 16) == 0:
        return None
    return TraceContext(trace_id, span_id, int(flags, 16), _valid_state(tracestate))


def _valid_state(tracestate: str) -> str:
    if not tracestate or len(tracestate) > LONGEST_STATE:
        return ""
    members = [stripped for member in tracestate.split(",") if (stripped := member.strip(" \t"))]
    keys = {member.partition("=")[0] for member in members}
    if len(members) > MOST_MEMBERS or len(keys) < len(members):
        return ""
    return ",".join(members) if all(map(_MEMBER.fullmatch, members)) else ""
