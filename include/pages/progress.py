"""How far a release has come, and what comes next."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel

from include.contracts.moments import UtcDatetime
from include.contracts.ramps import RampReason
from include.contracts.releases import Approval, Release, ReleaseStage, is_granted
from include.pages.airflow_facts import STRICT

_S = ReleaseStage
APPROVAL, LOAD, PROMOTED = "approval", "load", "promoted"
_RAMP_BEGINS = 2
"""Steps before the ramp's first place."""


class StepState(StrEnum):
    """Where a step stands."""

    DONE = "done"
    PRESENT = "present"
    AHEAD = "ahead"
    STOPPED = "stopped"
    """It was present when the release ended early."""


class Step(BaseModel):
    """One step of a release, as its plan has it."""

    model_config = STRICT

    title: str
    state: StepState
    share: float
    """Share of units on the new version while it lasts."""
    seconds: float
    """Least time it takes; 0 where it waits for a person or takes no time."""
    requests: int
    """Fewest requests of the new version before it is judged."""


class Progress(BaseModel):
    """A release on its way."""

    model_config = STRICT

    release_id: str
    version: str
    stage: ReleaseStage
    share: float
    steps: tuple[Step, ...]
    done_ratio: float
    """Steps that are over, of all."""
    step_ends_at: UtcDatetime | None
    """When the present step may be judged; None where it waits for a person or is over."""
    remaining_seconds: float | None
    """Least time until it is promoted; None where a person decides when it goes on, or it is over."""
    held: RampReason | None
    """Why its ramp asked a person, and waits for an answer."""
    answer_by: UtcDatetime | None
    """When an answer that has not come is a no."""
    paused_at: UtcDatetime | None


def progress(release: Release, now: datetime, answers: Collection[Approval] = ()) -> Progress:
    """Return how far a release has come.

    Args:
        release: the release.
        now: wall time.
        answers: those that were given to it; they tell where one that was abandoned before its ramp had come.
    """
    ramp, steps = release.ramp, tuple(_steps(release, is_granted(release.quorum, answers)))
    waits = release.stage.is_terminal or ramp is None or ramp.held is not None or ramp.paused_at is not None
    ends_at = None if waits or ramp is None else ramp.due_at
    remaining = None
    if ends_at is not None:
        ahead = sum(step.seconds for step in steps if step.state is StepState.AHEAD)
        remaining = max((ends_at - now).total_seconds(), 0.0) + ahead
    return Progress(
        release_id=release.release_id,
        version=release.version,
        stage=release.stage,
        share=release.share,
        steps=steps,
        done_ratio=sum(step.state is StepState.DONE for step in steps) / len(steps),
        step_ends_at=ends_at,
        remaining_seconds=remaining,
        held=ramp.held if ramp else None,
        answer_by=ramp.answer_by if ramp else None,
        paused_at=ramp.paused_at if ramp else None,
    )


def _steps(release: Release, granted: bool) -> Iterator[Step]:
    present = _present(release, granted)
    for number, (title, share, hold, requests) in enumerate(_planned(release)):
        yield Step(
            title=title,
            state=_state(release, number, present),
            share=share,
            seconds=hold.total_seconds(),
            requests=requests,
        )


def _planned(release: Release) -> Iterator[tuple[str, float, timedelta, int]]:
    plan, clock = release.plan, release.ramp.clock if release.ramp else 1.0
    nothing = timedelta()
    yield APPROVAL, 0.0, nothing, 0
    yield LOAD, 0.0, nothing, 0
    for place in range(_first_place(release), plan.bake_place + 1):
        share, hold = plan.share_at(place), plan.hold_at(place) * clock
        yield plan.name_of(place), share, hold, plan.minimum_at(place)
    yield PROMOTED, 1.0, nothing, 0


def _first_place(release: Release) -> int:
    """Return the place its ramp begins at: a model's first version has nothing to ramp beside."""
    return release.plan.full_place if release.champion_version is None else release.plan.first_place


def _present(release: Release, granted: bool) -> int:
    """Return the number of the step a release is at, or was when it ended."""
    first = _first_place(release)
    if release.stage is _S.PROMOTED:
        return _RAMP_BEGINS + release.plan.bake_place - first + 1
    if release.ramp is not None:
        return _RAMP_BEGINS + release.ramp.place - first
    if release.stage is _S.ABANDONED:
        return int(granted)
    return 0 if release.stage in {_S.AWAITING_APPROVAL, _S.REJECTED, _S.OUTDATED} else 1


def _state(release: Release, number: int, present: int) -> StepState:
    if number < present or release.stage is _S.PROMOTED:
        return StepState.DONE
    if number > present:
        return StepState.AHEAD
    return StepState.STOPPED if release.stage.is_terminal else StepState.PRESENT
