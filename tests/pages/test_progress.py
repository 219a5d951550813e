"""How far a release has come."""

from datetime import UTC, datetime, timedelta

import pytest

from include.contracts.ramps import SHADOW_PLACE, Ramp, RampReason, RampStage, RolloutPlan, ShadowStage
from include.contracts.releases import Approval, Decision, Release, ReleaseStage
from include.pages.progress import StepState, progress

S = ReleaseStage
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PLAN = RolloutPlan(
    shadow=ShadowStage(hold=timedelta(hours=4)),
    stages=tuple(RampStage(share=share, hold=timedelta(hours=16)) for share in (0.05, 0.25, 1.0)),
    bake=timedelta(hours=24),
)
TITLES = ("approval", "load", "shadow", "5 %", "25 %", "100 %", "bake", "promoted")
ENDED = {S.PROMOTED, S.REJECTED, S.ROLLED_BACK, S.ABANDONED, S.OUTDATED}


def release(stage: ReleaseStage, place: int | None = None, **ramp: object) -> Release:
    """Return a release at a stage, and at a place of its ramp if it came so far."""
    entered = NOW - timedelta(hours=1)
    stands = None
    if place is not None:
        due = entered + PLAN.hold_at(place) * float(ramp.get("clock", 1.0))
        stands = Ramp(place=place, began_at=entered, entered_at=entered, due_at=due, **ramp)
    return Release(
        release_id="r1",
        model="m",
        version="1.0.0",
        champion_version="0.9.0",
        artefact_sha256="a",
        contract_sha256="c",
        plan=PLAN,
        thresholds={},
        stage=stage,
        share=0.0 if place is None else PLAN.share_at(place),
        ramp=stands,
        requested_by="ada",
        triggered_by="ada",
        revision=1,
        opened_at=NOW,
        ended_at=NOW if stage in ENDED else None,
    )


PRESENT = [
    (S.AWAITING_APPROVAL, None, "approval", None),
    (S.APPROVED, None, "load", None),
    (S.LOADED, None, "load", None),
    (S.RAMPING, SHADOW_PLACE, "shadow", 75.0),
    (S.RAMPING, 0, "5 %", 71.0),
    (S.RAMPING, 1, "25 %", 55.0),
    (S.BAKING, 2, "100 %", 39.0),
    (S.BAKING, 3, "bake", 23.0),
]


@pytest.mark.parametrize(("stage", "place", "title", "hours"), PRESENT)
def test_an_open_release_is_at_one_step(stage, place, title, hours):
    """All before it are done, all after it ahead; what is left adds up, an hour into the step."""
    found = progress(release(stage, place), NOW)
    states = {step.title: step.state for step in found.steps}
    at = TITLES.index(title)
    assert TITLES == tuple(states)
    assert {StepState.DONE} >= {states[name] for name in TITLES[:at]}
    assert StepState.PRESENT is states[title]
    assert {StepState.AHEAD} == {states[name] for name in TITLES[at + 1 :]}
    assert at / len(TITLES) == pytest.approx(found.done_ratio)
    assert hours == (None if found.remaining_seconds is None else found.remaining_seconds / 3600)


def test_a_drills_clock_shortens_what_is_left():
    """The plan's times are multiplied by it, those ahead as well."""
    found = progress(release(S.RAMPING, 0, clock=0.5), NOW)
    assert 0.5 * 72 - 1 == pytest.approx(found.remaining_seconds / 3600)


@pytest.mark.parametrize(
    "waits", [{"held": RampReason.TOO_FEW_REQUESTS, "answer_by": NOW}, {"paused_at": NOW}], ids=str
)
def test_a_ramp_that_waits_for_a_person_tells_no_time(waits):
    """It says what it waits for instead."""
    found = progress(release(S.RAMPING, 1, **waits), NOW)
    assert (None, None) == (found.step_ends_at, found.remaining_seconds)
    assert waits == {name: getattr(found, name) for name in waits}


def test_a_promoted_release_is_over():
    """Nothing is ahead, and nothing left."""
    found = progress(release(S.PROMOTED, 3), NOW)
    assert (1.0, None) == (found.done_ratio, found.remaining_seconds)


YES = Approval(
    release_id="r1",
    model="m",
    version="1.0.0",
    artefact_sha256="a",
    decision=Decision.APPROVED,
    decided_by="bob",
    decided_at=NOW,
    evidence_sha256="e",
)
STOPPED = [
    (S.REJECTED, None, (), "approval"),
    (S.OUTDATED, None, (), "approval"),
    (S.ABANDONED, None, (), "approval"),
    (S.ABANDONED, None, (YES,), "load"),
    (S.ROLLED_BACK, None, (YES,), "load"),
    (S.ROLLED_BACK, SHADOW_PLACE, (YES,), "shadow"),
    (S.ROLLED_BACK, 1, (YES,), "25 %"),
    (S.ABANDONED, 1, (YES,), "25 %"),
    (S.ROLLED_BACK, 3, (YES,), "bake"),
]


@pytest.mark.parametrize(("stage", "place", "answers", "title"), STOPPED)
def test_a_release_that_ended_early_shows_where_it_stopped(stage, place, answers, title):
    """It shows how far it had come, waits for nothing, and tells no time."""
    found = progress(release(stage, place), NOW, answers)
    assert (None, None) == (found.remaining_seconds, found.step_ends_at)
    states = {step.title: step.state for step in found.steps}
    at = TITLES.index(title)
    assert {StepState.DONE} >= {states[name] for name in TITLES[:at]}
    assert StepState.STOPPED is states[title]
    assert {StepState.AHEAD} == {states[name] for name in TITLES[at + 1 :]}


def test_a_first_version_has_no_ramp_before_full_traffic():
    """There is nothing to ramp beside: no share it never had is shown as passed."""
    first = release(S.BAKING, 2).model_copy(update={"champion_version": None})
    found = progress(first, NOW)
    assert ["approval", "load", "100 %", "bake", "promoted"] == [step.title for step in found.steps]
    assert [StepState.DONE] * 2 + [StepState.PRESENT] == [step.state for step in found.steps[:3]]
