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
_PHRASE = re.compile(r"hourly|daily|weekly|every (?:[1-9]\d* )?(?:minute|hour|day|week)s?")


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
        ValueError: it is none of them.
    """
    if _PHRASE.fullmatch(text.strip().lower()):
        return text
    try:
        return check_cron(text)
    except ValueError as error:
        raise ValueError(f"write 'every 6 hours', 'hourly', 'daily', 'weekly' or cron: {error}") from None


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
