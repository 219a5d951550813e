"""Moments and durations as people say them."""

from datetime import datetime

NOTHING = "\N{EN DASH}"
"""Stands where there is no figure."""

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def duration(seconds: float | None) -> str:
    """Return a duration in its two largest units: `2 d 3 h`, `45 s`."""
    if seconds is None:
        return NOTHING
    left = round(seconds)
    parts: list[str] = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
        if len(parts) == 2 or (parts and not count):  # noqa: PLR2004 - the two largest
            break
    return " ".join(parts) or "0 s"


def ago(moment: datetime | None, now: datetime) -> str:
    """Return how long ago a moment was, or how long it is until then."""
    if moment is None:
        return NOTHING
    seconds = (now - moment).total_seconds()
    return f"{duration(seconds)} ago" if seconds >= 0 else f"in {duration(-seconds)}"
