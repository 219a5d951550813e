"""When something runs by itself: cron expressions, and the phrases teams write."""

import re
from typing import Annotated

from pydantic import AfterValidator

_FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 7),
)
_NAMES = {
    "month": ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    "day of week": ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}
_PART = re.compile(r"(\*|[a-z0-9]+(?:-[a-z0-9]+)?)(?:/([1-9]\d*))?")
_PHRASE = re.compile(
    r"(?P<word>hourly|daily|weekly)|every\s+(?:(?P<count>\d+)\s+)?(?P<unit>minute|hour|day|week)s?"
)
_WORDS = {"hourly": "hour", "daily": "day", "weekly": "week"}
_CRON = {"minute": "*/{} * * * *", "hour": "0 */{} * * *", "day": "0 0 * * *", "week": "0 0 * * 1"}
_EVEN = {"minute": 60, "hour": 24, "day": 1, "week": 1}
"""How many of a unit the next larger one holds that cron can divide; 1 where it can divide none."""

SCHEDULE_GRAMMAR = (
    "write 'every <number> minutes' or 'every <number> hours' with a number that divides 60 or 24, such as "
    "'every 6 hours'; 'hourly', 'daily', 'weekly'; or cron, such as '0 5 * * 1'"
)


def check_cron(expression: str) -> str:
    """Return a cron expression of five fields as it is.

    Raises:
        ValueError: says which field is wrong and what it may be.
    """
    fields = expression.lower().split()
    if len(fields) != len(_FIELDS):
        raise ValueError(
            f"{expression!r} is not a cron expression: it has {len(fields)} fields, not the five of "
            "'minute hour day-of-month month day-of-week', such as '0 5 * * 1'"
        )
    for text, (name, lowest, highest) in zip(fields, _FIELDS, strict=True):
        if not all(_fits(part, name, lowest, highest) for part in text.split(",")):
            raise ValueError(
                f"{expression!r}: {text!r} is no {name}; it takes {lowest} to {highest}, *, a-b, */n"
            )
    return expression


def check_schedule(text: str) -> str:
    """Return a schedule as it is: `every 6 hours`, `hourly`, `daily`, `weekly`, or a cron expression.

    Raises:
        ValueError: it is none of them; the message has the grammar and examples.
    """
    cron_of(text)
    return text


def cron_of(schedule: str) -> str:
    """Return the cron expression a schedule stands for, UTC; a day starts at midnight, a week on Monday.

    Raises:
        ValueError: it is neither cron nor a phrase that cron can say.
    """
    match = _PHRASE.fullmatch(schedule.strip().lower())
    if match is None:
        try:
            return check_cron(schedule)
        except ValueError as error:
            raise ValueError(f"{SCHEDULE_GRAMMAR}: {error}") from None
    unit, count = _WORDS.get(match["word"], match["unit"]), int(match["count"] or 1)
    if not count or _EVEN[unit] % count:
        raise ValueError(f"{schedule!r} does not divide time evenly; {SCHEDULE_GRAMMAR}")
    if count == _EVEN[unit] and unit in {"minute", "hour"}:
        return "0 * * * *" if unit == "minute" else "0 0 * * *"
    return _CRON[unit].format(count).replace("*/1 ", "* ")


Cron = Annotated[str, AfterValidator(check_cron)]
"""A cron expression of five fields, UTC."""

Schedule = Annotated[str, AfterValidator(check_schedule)]
"""A cron expression, or a phrase such as `every 6 hours`, UTC."""


def _fits(part: str, name: str, lowest: int, highest: int) -> bool:
    match = _PART.fullmatch(part)
    if match is None:
        return False
    if match[1] == "*":
        return True
    bounds = [_number(text, name) for text in match[1].split("-")]
    return all(lowest <= bound <= highest for bound in bounds) and bounds == sorted(bounds)


def _number(text: str, name: str) -> int:
    names = _NAMES.get(name, ())
    if text in names:
        return names.index(text) + (name == "month")
    return int(text) if text.isdigit() else -1
