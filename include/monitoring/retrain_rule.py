"""When a decline asks for a training: a pure rule over stored daily results.

A day is bad where the metric is worse by more than the rule's ratio and chance does not explain it. The rule
wants so many bad days in a row.

| a day that | does |
|---|---|
| is bad | extends the run |
| is judged and not bad | ends the run |
| was not judged, or is as bad by what chance may explain | neither extends nor ends it |
| is the eighth in a row that was not judged | ends the run: what lies that far back is stale |

Having asked, it asks again only for another decline: after a day below two thirds of the ratio, or with
another version answering; and not before the cool-down is over.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.contracts.performance import RetrainDecision
from include.contracts.rules import RetrainTrigger

COOL_DOWN = timedelta(days=14)
"""Shortest time between two requests; longer where labels take longer."""
LONGEST_GAP = 7
"""Days without a result that a run outlasts."""
RECOVERED = 2 / 3
"""Part of the ratio below which a decline has ended."""


@dataclass(frozen=True)
class DayResult:
    """How a day was judged."""

    start: datetime
    version: str | None = None
    """Version that answered most; None where none did."""
    degradation: float | None = None
    """The worst of the watched metrics, as part of its reference; None where none was judged."""
    is_shown: bool = False
    """Whether chance does not explain it."""

    def is_gap(self, ratio: float) -> bool:
        """Say whether the day tells nothing."""
        return self.degradation is None or (self.degradation > ratio and not self.is_shown)


@dataclass(frozen=True)
class Decision:
    """What the rule says."""

    decision: RetrainDecision
    bad_days: tuple[DayResult, ...] = ()
    """The run of bad days, oldest first."""


def decide(
    trigger: RetrainTrigger,
    days: Sequence[DayResult],
    asked: Collection[datetime],
    *,
    cool_down: timedelta = COOL_DOWN,
    is_under_way: bool = False,
) -> Decision:
    """Return whether the last of some days asks for a training.

    Args:
        trigger: the contract's rule.
        days: one a day, in order, gaps included.
        asked: starts of the days that asked before.
        cool_down: shortest time between two requests.
        is_under_way: whether a training waits or runs, or a release is open.
    """
    if all(day.degradation is None for day in days):
        return Decision(RetrainDecision.NO_DAYS)
    run, is_armed = _run(trigger, days, asked)
    if not run:
        return Decision(RetrainDecision.NOT_WORSE)
    if len(run) < trigger.days:
        return Decision(RetrainDecision.TOO_SHORT, run)
    if not is_armed:
        return Decision(RetrainDecision.ASKED_ALREADY, run)
    if any(run[-1].start - moment < cool_down for moment in asked):
        return Decision(RetrainDecision.COOLING_DOWN, run)
    return Decision(RetrainDecision.UNDER_WAY if is_under_way else RetrainDecision.ASK, run)


def _run(
    trigger: RetrainTrigger, days: Sequence[DayResult], asked: Collection[datetime]
) -> tuple[tuple[DayResult, ...], bool]:
    """Return the run of bad days that reaches the last day, and whether its decline may still ask."""
    run: tuple[DayResult, ...] = ()
    gap, is_armed, version = 0, True, None
    for day in days:
        if day.is_gap(trigger.ratio):
            gap += 1
            run = () if gap > LONGEST_GAP else run
        else:
            gap = 0
            if day.version != version:
                run, is_armed, version = (), True, day.version
            degradation = day.degradation or 0.0
            run = (*run, day) if degradation > trigger.ratio else ()
            is_armed = is_armed or degradation < RECOVERED * trigger.ratio
        is_armed = is_armed and day.start not in asked
    return run, is_armed
