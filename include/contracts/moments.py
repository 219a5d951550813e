"""Types of time and duration that contracts and rows share."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PATTERN = re.compile(r"(\d+)\s*([smhdw])")


def parse_duration(text: object) -> timedelta:
    """Read a duration such as `90s`, `5m`, `48h`, `14d`, `2w`.

    Raises:
        ValueError: the value is not a whole number followed by one of s, m, h, d, w.
    """
    if isinstance(text, timedelta):
        return text
    match = _PATTERN.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(
            f"{text!r} is not a duration; write a whole number and s, m, h, d or w: 90s, 48h, 14d"
        )
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def format_duration(duration: timedelta) -> str:
    """Write a duration of whole seconds in its largest exact unit: `48h`, `14d`."""
    seconds = int(duration.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^\\s*{_PATTERN.pattern}\\s*$"}),
]
"""A timedelta written `14d` in YAML and JSON."""

UtcDatetime = AwareDatetime
"""A datetime that knows its zone; ours are UTC."""
