"""Rules that a contract writes as phrases: read once, refused with their grammar, judged as values.

| phrase | becomes |
|---|---|
| `10% degradation vs trailing 30-day average` | `DegradationRule` |
| `performance degradation > 15% for 3 consecutive days` | `RetrainTrigger` |
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_PERCENT = r"(?P<percent>\d+(?:\.\d+)?)\s*%"
_DEGRADATION = re.compile(
    rf"{_PERCENT}\s+degradation\s+(?:vs\.?|versus|against)\s+(?:the\s+)?"
    r"trailing\s+(?P<days>\d+)[\s-]days?\s+average"
)
_TRIGGER = re.compile(
    rf"(?P<subject>[a-z][a-z0-9_]*)\s+degradation\s+>\s*{_PERCENT}\s+for\s+"
    r"(?P<days>\d+)\s+(?:consecutive\s+)?days?"
)
_ALL_METRICS = "performance"

DEGRADATION_GRAMMAR = (
    "write '<number>% degradation vs trailing <number>-day average', "
    "such as '10% degradation vs trailing 30-day average'"
)
TRIGGER_GRAMMAR = (
    "write '<performance, or a metric> degradation > <number>% for <number> consecutive days', "
    "such as 'performance degradation > 15% for 3 consecutive days' or "
    "'auc_roc degradation > 5% for 7 consecutive days'"
)


@dataclass(frozen=True)
class DegradationRule:
    """`10% degradation vs trailing 30-day average`: when a day's metric is bad enough to tell somebody.

    Degradation is relative and counts in the metric's own direction: an accuracy of 0.72 after 0.80 and a log
    loss of 0.55 after 0.50 are both 10 % worse.
    """

    ratio: float
    """Part of the reference by which the metric must be worse; 0.1 for 10 %."""
    trailing: timedelta
    """Days before the day judged whose mean is the reference."""

    def __str__(self) -> str:
        """Return the phrase in its plainest form."""
        return f"{_percent(self.ratio)} degradation vs trailing {self.trailing.days}-day average"


@dataclass(frozen=True)
class RetrainTrigger:
    """`performance degradation > 15% for 3 consecutive days`: when a training is asked for."""

    metric: str | None
    """The metric watched, as the contract calls it; None for `performance`: any that is monitored."""
    ratio: float
    """Part of the reference by which the metric must be worse, and more than that; 0.15 for 15 %."""
    days: int
    """Days that are judged one after the other and all as bad."""

    def __str__(self) -> str:
        """Return the phrase in its plainest form."""
        days = f"{self.days} consecutive day{'s' if self.days > 1 else ''}"
        return f"{self.metric or _ALL_METRICS} degradation > {_percent(self.ratio)} for {days}"


def parse_degradation(text: object) -> DegradationRule:
    """Read when to alert.

    Raises:
        ValueError: it is no such phrase; the message has the grammar and an example.
    """
    if isinstance(text, DegradationRule):
        return text
    match = _match(_DEGRADATION, text, DEGRADATION_GRAMMAR)
    ratio, days = _ratio(match, DEGRADATION_GRAMMAR), int(match["days"])
    if days < 1:
        raise ValueError(f"{text!r} averages over no day; {DEGRADATION_GRAMMAR}")
    return DegradationRule(ratio, timedelta(days=days))


def parse_trigger(text: object) -> RetrainTrigger:
    """Read when to ask for a training.

    Raises:
        ValueError: it is no such phrase; the message has the grammar and examples.
    """
    if isinstance(text, RetrainTrigger):
        return text
    match = _match(_TRIGGER, text, TRIGGER_GRAMMAR)
    ratio, days = _ratio(match, TRIGGER_GRAMMAR), int(match["days"])
    if days < 1:
        raise ValueError(f"{text!r} waits for no day; {TRIGGER_GRAMMAR}")
    subject = match["subject"]
    return RetrainTrigger(None if subject == _ALL_METRICS else subject, ratio, days)


def _percent(ratio: float) -> str:
    return f"{ratio * 100:.12g}%"


def _match(pattern: re.Pattern[str], text: object, grammar: str) -> re.Match[str]:
    match = pattern.fullmatch(text.strip().lower()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} cannot be read; {grammar}")
    return match


def _ratio(match: re.Match[str], grammar: str) -> float:
    percent = float(match["percent"])
    if not 0 < percent < 100:  # noqa: PLR2004 - percent
        raise ValueError(f"{match[0]!r}: {match['percent']}% lies outside 0% and 100%; {grammar}")
    return percent / 100


Degradation = Annotated[
    DegradationRule,
    BeforeValidator(parse_degradation),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["10% degradation vs trailing 30-day average"]}),
]
"""A `DegradationRule` written as a phrase in YAML and JSON."""

Trigger = Annotated[
    RetrainTrigger,
    BeforeValidator(parse_trigger),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["performance degradation > 15% for 3 consecutive days"]}),
]
"""A `RetrainTrigger` written as a phrase in YAML and JSON."""
