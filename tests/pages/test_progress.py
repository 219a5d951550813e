"""How far a release has come."""

from datetime import UTC, datetime, timedelta

import pytest

from include.contracts.ramps import RampStage, RolloutPlan
from include.contracts.releases import Release, ReleaseStage
from include.pages.progress import StepState, progress

S = ReleaseStage
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PLAN = RolloutPlan(
    stages=tuple(RampStage(share=share, hold=timedelta(hours=16)) for share in (0.05, 0.25, 1.0)),
    bake=timedelta(hours=24),
)
TITLES = ("approval", "load", "5%", "25%", "100%", "bake", "promoted")
ENDED = {S.PROMOTED, S.REJECTED, S.ROLLED_BACK, S.ABANDONED, S.OUTDATED}


def release(stage: ReleaseStage, share: float = 0.0) -> Release:
    """Return a release at a stage."""
    return Release(
        release_id="r1",
        model="m",
        version="1.0.0",
        champion_version=None,
        artefact_sha256="a",
        contract_sha256="c",
        plan=PLAN,
        thresholds={},
        stage=stage,
        share=share,
        requested_by="ada",
        triggered_by="ada",
        revision=1,
        opened_at=NOW,
        ended_at=NOW if stage in ENDED else None,
    )


PRESENT = [
    (S.AWAITING_APPROVAL, 0.0, "approval", None),
    (S.APPROVED, 0.0, "load", 72.0),
    (S.LOADED, 0.0, "load", 72.0),
    (S.RAMPING, 0.05, "5%", 71.0),
    (S.RAMPING, 0.25, "25%", 55.0),
    (S.RAMPING, 1.0, "100%", 39.0),
    (S.BAKING, 1.0, "bake", 23.0),
]


@pytest.mark.parametrize(("stage", "share", "title", "hours"), PRESENT)
def test_an_open_release_is_at_one_step(stage, share, title, hours):
    """All before it are done, all after it ahead; what is left adds up, an hour into the step."""
    found = progress(release(stage, share), NOW - timedelta(hours=1), NOW)
    states = {step.title: step.state for step in found.steps}
    at = TITLES.index(title)
    assert TITLES == tuple(states)
    assert {StepState.DONE} >= {states[name] for name in TITLES[:at]}
    assert StepState.PRESENT is states[title]
    assert {StepState.AHEAD} == {states[name] for name in TITLES[at + 1 :]}
    assert at / len(TITLES) == pytest.approx(found.done_ratio)
    assert hours == (None if found.remaining_seconds is None else found.remaining_seconds / 3600)


def test_a_promoted_release_is_over():
    """Nothing is ahead, and nothing left."""
    found = progress(release(S.PROMOTED, 1.0), NOW, NOW)
    assert (1.0, None) == (found.done_ratio, found.remaining_seconds)


@pytest.mark.parametrize("stage", [S.REJECTED, S.ROLLED_BACK, S.ABANDONED, S.OUTDATED])
def test_a_release_that_ended_early_waits_for_nothing(stage):
    """It shows how far it had come, and no time."""
    found = progress(release(stage, 0.25 if stage is S.ROLLED_BACK else 0.0), NOW, NOW)
    assert (None, None) == (found.remaining_seconds, found.step_ends_at)
    states = [step.state for step in found.steps]
    assert (0, 1) == (states.count(StepState.PRESENT), states.count(StepState.STOPPED))
