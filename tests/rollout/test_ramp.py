"""A release on its ramp: a real ledger, log and Triton, and a clock that is moved by hand."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.measurements import MeasurementStore
from include.adapters.prediction_log import PredictionLog
from include.contracts.alerts import AlertKind
from include.contracts.errors import ConflictError, LedgerError
from include.contracts.events import EventKind
from include.contracts.measurements import Measurement, Monitor, MonitorRun, Verdict
from include.contracts.predictions import FallbackReason, Status
from include.contracts.ramps import LabelBound, RampReason, RampVerdict, RolloutPlan
from include.contracts.releases import Release, ReleaseStage
from include.contracts.routes import ModelRoute
from include.rollout.bounds import bounds_of
from include.rollout.decide import decide
from include.rollout.load import load_version
from include.rollout.ramp import RampTools, enter, look, next_place
from include.rollout.ramp_control import Answer, answer, pause, paused_release, resume
from include.rollout.ramp_watch import CHANGED, RampWatch
from include.rollout.reconcile import reconcile_triton
from include.rollout.rollback import roll_back
from tests.adapters.test_prediction_log import row
from tests.rollout.platform import Platform

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
PLAN = {
    "stages": [{"share": 0.25, "hold": "1h"}, {"share": 0.5, "hold": "1h"}, {"share": 1.0, "hold": "1h"}],
    "bake": "1d",
    "patience": "1h",
    "guardrails": [{"metric": "error_ratio", "margin": 0.2, "baseline": 0.01}],
}


class Clock:
    """Wall time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Ramped:
    """A model whose second version is loaded, with its champion beside it."""

    platform: Platform
    clock: Clock
    release: Release
    tools: RampTools

    @property
    def ledger(self) -> Ledger:
        return self.platform.ledger

    @property
    def route(self) -> ModelRoute:
        found = self.ledger.route(self.platform.model)
        assert found is not None
        return found

    @property
    def state(self) -> Release:
        found = self.ledger.release(self.release.release_id)
        assert found is not None
        return found

    def enter(self) -> Release:
        """Enter the next place, as its task does."""
        return enter(self.tools, self.state, "olga")

    def look(self) -> RampVerdict:
        """Look at the place; return what was decided."""
        return look(self.tools, self.state)[1].verdict

    def send(self, requests: int = 300, failing: int = 0) -> None:
        """Log requests of the present place: the new version's first ones fail, the champion's never do."""
        share = self.route.share or None
        rows = [
            self._row(number, "challenger" if share else "champion", number < failing)
            for number in range(requests)
        ]
        rows += [self._row(number, "champion", False) for number in range(3 * requests if share else 0)]
        log = PredictionLog(self.platform.settings.predictions_folder, 2**20)
        log.append(rows)
        log.close()

    def _row(self, number: int, variant: str, fails: bool) -> Any:
        reason = {"status": Status.FALLBACK, "fallback_reason": FallbackReason.MODEL_ERROR} if fails else {}
        return row(
            predicted_at=BEGAN,
            recorded_at=self.clock.now,
            model=self.platform.model,
            unit=str(number),
            assigned_variant=variant,
            release_or_experiment_id=self.route.change_id,
            share=self.route.share or None,
            **reason,
        )

    def pass_place(self) -> None:
        """Enter a place, send good requests, let its time go by, and leave it."""
        self.enter()
        self.send()
        self.clock.now += self.release.plan.hold_at(self.state.ramp.place)
        assert RampVerdict.PROMOTE is self.look()

    def alerts(self) -> list[AlertKind]:
        """Return the open alerts of the model."""
        return [alert.content.kind for alert in self.ledger.open_alerts(self.platform.model)]


def told_loaded(platform: Platform, run: str, **changes: Any) -> Release:
    """Register a version and have the ledger hold it for loaded: a ramp's steps ask nothing of Triton."""
    release = platform.approved(platform.register(run, **changes))
    return platform.ledger.advance_release(
        release.release_id, release.revision, ReleaseStage.LOADED, actor="olga"
    )


@pytest.fixture
def ramped(platform: Platform) -> Iterator[Ramped]:
    """Give a loaded second version of a plan with three stages and a bake."""
    clock = Clock()
    platform.settings = platform.settings.model_copy(update={"replay": True})
    platform.ledger = Ledger(platform.settings.ledger_uri, clock)
    plan = RolloutPlan.model_validate(PLAN)
    platform.folder.__dict__["contract"] = platform.folder.contract.model_copy(update={"rollout": plan})
    champion = enter(platform.tools, told_loaded(platform, "a"), "olga")
    platform.ledger.advance_release(
        champion.release_id, champion.revision, ReleaseStage.PROMOTED, actor="olga"
    )
    release = told_loaded(platform, "b", seed=8)
    yield Ramped(platform, clock, release, platform.tools)
    platform.ledger.close()


def test_a_ramp_goes_its_way(ramped: Ramped) -> None:
    """Shares rise, each place is passed by its guardrails; after the bake the predecessor is let go."""
    assert (0, None) == (next_place(ramped.state), ramped.state.ramp)
    seen = []
    for _ in range(2):
        ramped.pass_place()
        seen.append((ramped.route.challenger.version, ramped.route.share, ramped.route.change_id))
    release_id = ramped.release.release_id
    assert [("1.1.0", 0.25, release_id), ("1.1.0", 0.5, release_id)] == seen
    assert ("1.0.0", ReleaseStage.RAMPING) == (ramped.route.champion.version, ramped.state.stage)

    ramped.pass_place()
    assert ("1.1.0", None, 0.0) == (
        ramped.route.champion.version,
        ramped.route.challenger,
        ramped.route.share,
    )
    assert ("1.0.0", ReleaseStage.BAKING) == (ramped.route.previous.version, ramped.state.stage)

    ramped.pass_place()
    assert (ReleaseStage.PROMOTED, None) == (ramped.state.stage, ramped.route.previous)
    assert [] == ramped.alerts()
    decisions = [
        event.payload["decision"]["reason"]
        for event in ramped.ledger.events(ramped.platform.model)
        if event.payload.get("release") and "decision" in event.payload
    ]
    assert ["guardrails_kept"] * 4 == decisions
    platform = ramped.platform
    load_version(platform.settings, platform.triton, ramped.ledger.versions(platform.model)[0])
    gone = f"{platform.model}__1_0_0"
    done = reconcile_triton(
        platform.settings,
        ramped.ledger,
        platform.triton,
        platform.model,
        may_unload=frozenset({gone}),
    )
    assert (gone,) == done.unloaded
    ramped.ledger.verify()


def test_a_step_run_twice_changes_nothing(ramped: Ramped) -> None:
    """Entered again, looked at again: the same place, the same time, no event more."""
    entered = ramped.enter()
    events = ramped.ledger.verify()
    ramped.clock.now += HOUR / 2
    assert entered == ramped.enter()
    assert RampVerdict.WAIT is ramped.look()
    assert (events, BEGAN + HOUR) == (ramped.ledger.verify(), ramped.state.ramp.due_at)


def test_harm_goes_back_within_a_place(ramped: Ramped) -> None:
    """Long before its time is over, without any Triton; the ledger and an alert have the figures."""
    ramped.enter()
    ramped.send(40, failing=20)
    ramped.tools = replace(ramped.tools, tritons=[])
    assert RampVerdict.ROLLBACK is ramped.look()
    assert (ReleaseStage.ROLLED_BACK, 0.0) == (ramped.state.stage, ramped.state.share)
    assert ("1.0.0", None, None) == (
        ramped.route.champion.version,
        ramped.route.challenger,
        ramped.route.change_id,
    )
    assert [AlertKind.RAMP_ROLLED_BACK] == ramped.alerts()
    (ended,) = ramped.ledger.events(ramped.platform.model, EventKind.RELEASE_ENDED)[-1:]
    (errors,) = ended.payload["decision"]["guardrails"]
    assert ("harm_shown", 0.5, 40) == (errors["reason"], errors["treatment"], errors["treatment_requests"])
    ramped.ledger.verify()


def test_harm_after_the_ramp_brings_the_champion_back(ramped: Ramped) -> None:
    """In the bake: held against what the champion did while it was beside the new version."""
    for _ in range(3):
        ramped.pass_place()
    ramped.enter()
    ramped.send(100, failing=60)
    assert RampVerdict.ROLLBACK is ramped.look()
    assert ("1.0.0", ReleaseStage.ROLLED_BACK) == (ramped.route.champion.version, ramped.state.stage)
    ramped.ledger.verify()


def test_what_labels_show_judges_the_bake(ramped: Ramped) -> None:
    """Out of the store that performance monitoring writes: missing they hold, missed they go back."""
    for _ in range(3):
        ramped.pass_place()
    ramped.enter()
    ramped.send(300)
    ramped.clock.now += timedelta(days=1)
    bound = LabelBound(metric="roc_auc", minimum=0.7)
    plan = ramped.state.plan.model_copy(update={"labels": (bound,)})
    release = ramped.state.model_copy(update={"plan": plan})

    def decided() -> tuple[RampVerdict, RampReason]:
        now = ramped.clock.now
        found = ramped.tools.evidence.of(release, now)
        decision = decide(plan, release.ramp, found, bounds_of(release), now)
        return decision.verdict, decision.reason

    assert (RampVerdict.HOLD, RampReason.LABELS_MISSING) == decided()
    measure(ramped, "1.0.0", 0.5, day=1)
    assert (RampVerdict.HOLD, RampReason.LABELS_MISSING) == decided()
    measure(ramped, release.version, 0.75, day=2)
    assert (RampVerdict.PROMOTE, RampReason.GUARDRAILS_KEPT) == decided()
    measure(ramped, release.version, 0.4, day=3)
    assert (RampVerdict.ROLLBACK, RampReason.LABELS_MISSED) == decided()


def measure(ramped: Ramped, version: str, value: float, day: int) -> None:
    """Store what performance monitoring found of a version on a day."""
    model, end = ramped.platform.model, BEGAN + timedelta(days=day)
    store = MeasurementStore(ramped.platform.settings.ledger_uri)
    found = Measurement(
        model=model,
        monitor=Monitor.PERFORMANCE,
        version=version,
        subject="score",
        metric="roc_auc",
        window_start=end - timedelta(days=1),
        window_end=end,
        value=value,
        low=value - 0.02,
        high=value + 0.02,
        n=1_000,
        verdict=Verdict.OK,
        reason="ok",
    )
    run = MonitorRun(
        model=model,
        monitor=Monitor.PERFORMANCE,
        as_of=end,
        recorded_at=end,
        verdict=Verdict.OK,
        summary="measured",
    )
    store.record(run, [found])
    store.close()


def hold(ramped: Ramped) -> None:
    """Bring a ramp to where it asks: no requests came, and its patience is over."""
    ramped.enter()
    ramped.clock.now += 2 * HOUR
    assert RampVerdict.HOLD is ramped.look()
    assert (RampReason.TOO_FEW_REQUESTS, [AlertKind.RAMP_HELD]) == (ramped.state.ramp.held, ramped.alerts())


def say(ramped: Ramped, choice: Answer, by: str = "approver", reason: str = "") -> Release:
    """Answer a ramp that holds."""
    return answer(ramped.tools, ramped.state, choice, by=by, reason=reason)


def test_extended_it_is_held_once_more(ramped: Ramped) -> None:
    """The same place, a new time, a second look; the question is settled."""
    hold(ramped)
    assert RampVerdict.WAIT is ramped.look()
    say(ramped, Answer.EXTEND)
    state = ramped.state.ramp
    assert (0, 1, None, ramped.clock.now + HOUR) == (state.place, state.looks, state.held, state.due_at)
    assert [] == ramped.alerts()
    ramped.send()
    ramped.clock.now += HOUR
    assert RampVerdict.PROMOTE is ramped.look()


def test_promoting_without_evidence_needs_an_approver_and_a_reason(ramped: Ramped) -> None:
    """Neither a stranger nor silence goes on; a written reason is in the ledger."""
    hold(ramped)
    with pytest.raises(LedgerError, match="needs a written reason"):
        say(ramped, Answer.PROMOTE)
    with pytest.raises(LedgerError, match="mallory may not let it go on"):
        say(ramped, Answer.PROMOTE, by="mallory", reason="why not")
    assert 1 == next_place(say(ramped, Answer.PROMOTE, reason="a quiet night"))
    last = ramped.ledger.events(ramped.platform.model, EventKind.RELEASE_ADVANCED)[-1]
    assert ("approver", "promoted_by_hand") == (last.actor, last.payload["decision"]["reason"])
    assert "a quiet night" in last.payload["reason"]
    assert say(ramped, Answer.ROLL_BACK) == ramped.state
    assert ReleaseStage.RAMPING is ramped.state.stage


def test_a_person_may_send_it_back(ramped: Ramped) -> None:
    """Without a reason, too; an answer that comes later does nothing."""
    hold(ramped)
    assert ReleaseStage.ROLLED_BACK is say(ramped, Answer.ROLL_BACK).stage
    events = ramped.ledger.verify()
    assert ReleaseStage.ROLLED_BACK is say(ramped, Answer.PROMOTE, reason="too late").stage
    assert (events, []) == (ramped.ledger.verify(), ramped.alerts())


def test_without_an_answer_it_goes_back(ramped: Ramped) -> None:
    """When time runs out the answer is no."""
    hold(ramped)
    ramped.clock.now += timedelta(hours=ramped.platform.settings.approval_timeout_hours)
    assert RampVerdict.ROLLBACK is ramped.look()
    assert [AlertKind.RAMP_ROLLED_BACK] == ramped.alerts()


def test_paused_it_watches_and_does_not_go_on(ramped: Ramped) -> None:
    """Its time stands still; an approver other than who asks lets it go on."""
    ramped.enter()
    ramped.send()
    ramped.clock.now += HOUR / 2
    model = ramped.platform.model
    paused = pause(ramped.ledger, model, by="uma", reason="a game tonight")
    assert paused == pause(ramped.ledger, model, by="uma", reason="a game tonight")
    ramped.clock.now += 5 * HOUR
    assert RampVerdict.WAIT is ramped.look()
    assert paused_release(ramped.ledger, model) == paused
    for who, asked in (("approver", "approver"), ("uma", "olga")):
        with pytest.raises(LedgerError, match="may not let it go on"):
            resume(ramped.ledger, model, by=who, asked_by=asked, reason="over")
    resume(ramped.ledger, model, by="approver", asked_by="uma", reason="over")
    assert RampVerdict.WAIT is ramped.look()
    ramped.clock.now += HOUR / 2
    assert RampVerdict.PROMOTE is ramped.look()
    with pytest.raises(LedgerError, match=r"no release of .* is paused"):
        paused_release(ramped.ledger, model)


def test_paused_it_enters_no_place(ramped: Ramped) -> None:
    """Neither where it was passed before, nor by a person's promotion; harm goes back all the same."""
    ramped.pass_place()
    pause(ramped.ledger, ramped.platform.model, by="uma", reason="a game tonight")
    assert 0 == ramped.enter().ramp.place
    assert RampVerdict.WAIT is ramped.look()
    resume(ramped.ledger, ramped.platform.model, by="approver", asked_by="uma", reason="over")
    assert 1 == ramped.enter().ramp.place
    ramped.clock.now += 2 * HOUR
    assert RampVerdict.HOLD is ramped.look()
    pause(ramped.ledger, ramped.platform.model, by="uma", reason="another game")
    with pytest.raises(LedgerError, match="is paused; it goes on once it was resumed"):
        say(ramped, Answer.PROMOTE, reason="a quiet night")
    ramped.send(40, failing=20)
    assert RampVerdict.ROLLBACK is ramped.look()


def test_a_pause_needs_a_ramp_and_a_reason(ramped: Ramped) -> None:
    """Nothing is paused before its first place is entered."""
    with pytest.raises(LedgerError, match=r"no release of .* is on its ramp"):
        pause(ramped.ledger, ramped.platform.model, by="uma", reason="why")
    ramped.enter()
    with pytest.raises(LedgerError, match="a written reason"):
        pause(ramped.ledger, ramped.platform.model, by="uma", reason=" ")


def test_rolling_back_during_a_ramp_returns_to_the_champion_beside(ramped: Ramped) -> None:
    """`previous` is what served all before the ramp began, not what came before that."""
    ramped.enter()
    platform = ramped.platform
    route = roll_back(
        platform.settings, ramped.ledger, [platform.triton], platform.model, actor="uma", reason="now"
    )
    assert ("1.0.0", None) == (route.champion.version, route.challenger)
    assert ReleaseStage.ROLLED_BACK is ramped.state.stage


def test_a_changed_contract_ends_the_ramp(ramped: Ramped) -> None:
    """What was approved under one contract gets no more traffic under another: it loses what it has."""
    ramped.pass_place()
    other = ramped.platform.folder.contract.model_copy(update={"description": "other"})
    with pytest.raises(ConflictError, match=r"the contract .* changed since"):
        enter(replace(ramped.tools, contract=other), ramped.state, "olga")
    assert (ReleaseStage.ABANDONED, None) == (ramped.state.stage, ramped.route.challenger)


def test_of_two_who_enter_at_once_one_does(ramped: Ramped) -> None:
    """A step that saw the release before the other moved it changes nothing."""
    stale = ramped.state
    ramped.enter()
    events = ramped.ledger.verify()
    with pytest.raises(ConflictError, match="somebody moved it meanwhile"):
        enter(ramped.tools, stale, "olga")
    assert events == ramped.ledger.verify()


def test_a_first_version_has_nothing_to_ramp_beside(platform: Platform) -> None:
    """It takes all traffic at once, and is held against the contract's objectives."""
    plan = RolloutPlan.model_validate(PLAN)
    platform.folder.__dict__["contract"] = platform.folder.contract.model_copy(update={"rollout": plan})
    release = enter(platform.tools, told_loaded(platform, "a"), "olga")
    assert (2, ReleaseStage.BAKING, None) == (release.ramp.place, release.stage, release.ramp.control_share)


def test_the_watch_wakes_a_step_when_there_is_something_to_do(ramped: Ramped) -> None:
    """Nothing, then harm; and whatever somebody else did to the release."""
    release = ramped.enter()
    watch = RampWatch(ramped.platform.settings, release.release_id, release.revision)
    watch._ledger._clock = ramped.clock
    assert watch.look() is None
    ramped.send(40, failing=20)
    events = ramped.ledger.verify()
    assert RampVerdict.ROLLBACK.value == watch.look()
    assert events == ramped.ledger.verify()
    pause(ramped.ledger, ramped.platform.model, by="uma", reason="look")
    assert CHANGED == watch.look()
    watch.close()


def test_a_shadow_stage_comes_first_where_the_plan_has_one(ramped: Ramped) -> None:
    """Mirrored to, then beside the champion: the shadow ends as it gets traffic of its own."""
    plan = ramped.release.plan.model_copy(
        update={"shadow": RolloutPlan.model_validate({**PLAN, "shadow": {"hold": "1h"}}).shadow}
    )
    shadowing = ramped.state.model_copy(update={"plan": plan})
    release = enter(ramped.tools, shadowing, "olga")
    assert (-1, "1.1.0", 0.0) == (release.ramp.place, ramped.route.shadow.version, ramped.route.share)
    passed = release.model_copy(
        update={"plan": plan, "ramp": release.ramp.model_copy(update={"passed": True})}
    )
    release = enter(ramped.tools, passed, "olga")
    assert (None, "1.1.0", 0.25) == (
        ramped.route.shadow,
        ramped.route.challenger.version,
        ramped.route.share,
    )
