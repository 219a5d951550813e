"""How far a release has come, and what comes next."""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel

from include.contracts.moments import UtcDatetime
from include.contracts.releases import Release, ReleaseStage
from include.pages.airflow_facts import STRICT

_S = ReleaseStage
_ORDER = (_S.AWAITING_APPROVAL, _S.APPROVED, _S.LOADED, _S.RAMPING, _S.BAKING, _S.PROMOTED)


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
    """Least time it takes by the plan; 0 where it waits for a person or takes no time."""


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
    """When the present step may end at the earliest; None where it waits for a person or is over."""
    remaining_seconds: float | None
    """Least time until it is promoted; None where a person decides when it goes on, or it is over."""


def progress(release: Release, since: datetime, now: datetime) -> Progress:
    """Return how far a release has come.

    Args:
        release: its state.
        since: when it came to its present stage and share, in wall time.
        now: wall time.
    """
    steps = _steps(release)
    present = next((step for step in steps if step.state is StepState.PRESENT), None)
    ends_at = None
    remaining = None
    if present is not None and release.stage is not _S.AWAITING_APPROVAL:
        ends_at = since + timedelta(seconds=present.seconds)
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
    )


def _steps(release: Release) -> tuple[Step, ...]:
    plan = release.plan
    titles = [
        ("approval", _S.AWAITING_APPROVAL, 0.0, 0.0),
        ("load", _S.LOADED, 0.0, 0.0),
        *((f"{each.share:.0%}", _S.RAMPING, each.share, each.hold.total_seconds()) for each in plan.stages),
        ("bake", _S.BAKING, 1.0, plan.bake.total_seconds()),
        ("promoted", _S.PROMOTED, 1.0, 0.0),
    ]
    return tuple(
        Step(title=title, state=_state(release, stage, share), share=share, seconds=seconds)
        for title, stage, share, seconds in titles
    )


def _state(release: Release, stage: ReleaseStage, share: float) -> StepState:
    reached = _reached(release)
    at, of = (_ORDER.index(reached), release.share), (_ORDER.index(stage), share)
    if reached is _S.PROMOTED or at[0] > of[0] or (reached is stage is _S.RAMPING and release.share > share):
        return StepState.DONE
    is_present = at[0] == of[0] if stage is not _S.RAMPING else at == of
    # Approved, it is being loaded.
    is_loading = stage is _S.LOADED and reached is _S.APPROVED
    if not (is_present or is_loading):
        return StepState.AHEAD
    return StepState.STOPPED if release.stage.is_terminal else StepState.PRESENT


def _reached(release: Release) -> ReleaseStage:
    """Return the furthest stage that a release had come to; one that ended early stopped at its share."""
    if release.stage in _ORDER:
        return release.stage
    return _S.RAMPING if release.share else _S.AWAITING_APPROVAL
