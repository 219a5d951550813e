"""Experiments of several treatments: places, Holm's steps, and the analysis end to end."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.contracts.assignment import bucket
from include.contracts.experiment_plan import MetricKind, Slot
from include.contracts.experiment_results import ExperimentReason, ExperimentVerdict
from include.contracts.routes import Challenger, ModelRoute
from include.experiments.bounds import holm_levels, take_looks, timetable
from include.experiments.exposures import _places
from include.experiments.samples import Sample, StageSample
from include.experiments.size import _together
from include.stats.critical_values import critical_values
from include.stats.multiplicity import holm
from include.stats.sample_size import ArmSizes, effective_size
from include.stats.sufficient_statistics import JointMoments
from tests.adapters.ledger.changes import route_to
from tests.adapters.ledger.trials import BEGAN, FURTHER, PLAN, SIZED, THREE, experiment, plan, split
from tests.experiments.test_bounds import DAY, ENDS, sample
from tests.experiments.world import World, outcome, row, world

R, V = ExperimentReason, ExperimentVerdict
SHARES = st.lists(st.integers(1, 40), min_size=2, max_size=5)


def variants(parts: list[int]) -> list[dict[str, Any]]:
    """Return arms with shares in these proportions, control first."""
    shares = [part / sum(parts) for part in parts]
    versions = ["champion", *(f"1.0.{number}" for number in range(1, len(parts)))]
    return [
        {"name": f"arm_{number}", "version": version, "share": share}
        for number, (version, share) in enumerate(zip(versions, shares, strict=True))
    ]


def routed(slots: tuple[Slot, ...]) -> ModelRoute:
    """Return a route that gives treatments their places."""
    further = tuple(
        Challenger(route=route_to(f"1.0.{number}").champion, start=slot.start, share=slot.share)
        for number, slot in enumerate(slots[1:], start=2)
    )
    return ModelRoute.model_validate(split(slots[0].share).model_dump() | {"further": further})


@given(
    parts=SHARES, ramp=st.lists(st.floats(0.01, 0.99), max_size=3, unique=True), unit=st.integers(0, 10**9)
)
@settings(max_examples=60)
def test_a_unit_only_ever_goes_from_control_to_the_one_treatment_that_is_its(parts, ramp, unit):
    """Gateway and analysis agree on every unit's arm at every share of a ramp, whatever the arms."""
    arms = variants(parts)
    least = min(arm["share"] for arm in arms[1:])
    asked = plan(variants=arms, ramp=sorted(least * share for share in ramp))
    place, seen = bucket(asked.salt, str(unit)), []
    sql, _ = _places(tuple(arm.share for arm in asked.treatments))
    for share in asked.shares:
        route = routed(asked.slots(share))
        arm = [each.variant for each in route.arms].index(route.variant_at(place))
        at = f"SELECT {place!r}::DOUBLE AS bucket, {share!r}::DOUBLE AS share"
        told = duckdb.sql(f"SELECT {sql} FROM ({at})")  # noqa: S608 - numbers
        assert [(arm,)] == told.fetchall()
        seen.append(arm)
    assert len({arm for arm in seen if arm}) <= 1
    assert seen == sorted(seen, key=bool)


def test_arms_get_their_shares() -> None:
    """Of 20,000 units, within four standard errors; each variant is one of the route's."""
    asked = plan(variants=THREE)
    route = routed(asked.slots(0.3))
    found = [route.variant_at(bucket("salt", str(unit))) for unit in range(20_000)]
    assert ("champion", "challenger", "challenger_2") == tuple(arm.variant for arm in route.arms)
    for arm in route.arms:
        assert found.count(arm.variant) / 20_000 == pytest.approx(arm.share, abs=4 * 0.0035)
    alone = route.unsplit()
    assert route_to("1.0.0") == alone
    # Who knows no further arms reads the routes that have none; those that have some lose nothing.
    assert "further" not in alone.model_dump_json()
    assert route == ModelRoute.model_validate_json(route.model_dump_json())


@given(p_values=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6), alpha=st.floats(0.01, 0.2))
def test_steps_reject_what_holm_rejects(p_values, alpha):
    """Each comparison against its level says the same as its adjusted p-value against alpha."""
    levels = holm_levels(p_values, alpha)
    adjusted = holm(p_values)
    assert min(levels) == pytest.approx(alpha / len(p_values))
    for p_value, level, known in zip(p_values, levels, adjusted, strict=True):
        if abs(known - alpha) > 1e-9:
            assert (p_value <= level) == (known <= alpha)


def test_a_rejected_comparison_leaves_its_alpha_to_the_others() -> None:
    """One clear effect, one at z 2.1: with alpha over two it would not do, with all of alpha it does."""
    of = experiment(plan=plan(variants=THREE), further=FURTHER, size=SIZED)
    samples = [sample(1_600, 0.5, 0.6), sample(1_600, 0.5, 0.5371)]
    when = timetable(of, [each.information for each in samples], [[], []], BEGAN + DAY, ENDS)
    strong, weak = take_looks(of, samples, [[], []], when, BEGAN + DAY)
    assert (0.025, 0.05) == (strong.level, weak.level)
    assert critical_values([1.0], 0.05)[0] == pytest.approx(weak.upper)
    assert weak.upper < weak.z < critical_values([1.0], 0.025)[0]
    assert weak.adjusted_p_value == pytest.approx(weak.p_value)
    assert strong.adjusted_p_value == pytest.approx(max(2 * strong.p_value, 0.0))
    # Limits hold for both together, so they are those of alpha over two.
    half = (weak.high - weak.low) / 2 / weak.standard_error
    assert critical_values([1.0], 0.025)[0] == pytest.approx(half)
    alone = take_looks(of, [sample(1_600), samples[1]], [[], []], when, BEGAN + DAY)[1]
    assert (0.025, alone.upper) == (alone.level, pytest.approx(critical_values([1.0], 0.025)[0]))


def test_all_treatments_together_err_with_alpha_at_most() -> None:
    """Simulated: three treatments like their control, looked at four times; unsplit alpha errs far more."""
    dice = np.random.default_rng(5)
    steps = dice.normal(size=(4, 20_000, 4)).cumsum(axis=2) / np.sqrt(np.arange(1, 5))
    z = (steps[1:] - steps[0]) / np.sqrt(2.0)
    looks = (0.25, 0.5, 0.75, 1.0)

    def alarms(alpha: float) -> float:
        return float((np.abs(z) > critical_values(looks, alpha)).any(axis=(0, 2)).mean())

    error = 4 * (0.05 * 0.95 / 20_000) ** 0.5
    # Holm's first step decides whether there is any false alarm at all.
    assert alarms(0.05 / 3) < 0.05 + error
    assert alarms(0.05) > 0.09


def test_arms_are_sized_by_the_comparison_that_takes_most() -> None:
    """Shares of 40, 40 and 20 %: the small arm decides, and each comparison has at least what it takes."""
    asked = plan(
        variants=[
            {"name": "control", "version": "champion", "share": 0.4},
            {"name": "mild", "version": "1.0.1", "share": 0.4},
            {"name": "bold", "version": "1.0.2", "share": 0.2},
        ]
    )
    control, mild, bold = _together(asked, [ArmSizes(1_000, 1_000), ArmSizes(1_500, 750)])
    assert (1_500, 1_500, 750) == (control, mild, bold)
    assert effective_size(control, mild) >= 500
    assert asked.alpha_each == pytest.approx(0.025)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[World]:
    """Give an experiment of two treatments."""
    yield from several(tmp_path)


def several(home: Path, **changes: Any) -> Iterator[World]:
    """Give a world whose experiment has two treatments, at their final shares."""
    made = World(home, PLAN | {"variants": THREE} | changes, {"further": (1_600,)})
    made.start(further=FURTHER)
    yield made
    made.ledger.close()


def expose(running: World, units: range, share: float = 0.3, day: float = 0.0, **arms: Any) -> dict[int, int]:
    """Let units ask once; return each one's arm."""
    assert running.experiment is not None
    slots, found, rows = running.experiment.plan.slots(share), {}, []
    for unit in units:
        place = bucket(running.salt, str(unit))
        arm = next((n for n, slot in enumerate(slots, 1) if slot.start <= place < slot.start + slot.share), 0)
        variant = ("champion", "challenger", "challenger_2")[arm]
        found[unit] = arm
        at = BEGAN + day * DAY + timedelta(seconds=unit)
        rows.append(row(unit, at, place, share, running.salt, assigned_variant=variant, **arms))
    running.log(rows)
    return found


def come_back(running: World, arms: dict[int, int], rates: tuple[float, ...], day: float = 1.0) -> None:
    """Tell of units that came back, each with its arm's chance."""
    dice = np.random.default_rng(3)
    running.tell(
        [
            outcome(f"back-{unit}", BEGAN + day * DAY, unit=str(unit))
            for unit, arm in arms.items()
            if dice.random() < rates[arm]
        ]
    )


def test_the_better_of_two_treatments_is_shipped(running: World) -> None:
    """Each is compared with control; the verdict names the one to ship; the page shows both."""
    come_back(running, expose(running, range(5_300)), (0.50, 0.50, 0.64))
    done = running.analyse(15)
    assert (V.SHIP, (R.PRIMARY_BETTER,), "bold") == (done.verdict, done.reasons, done.winner)
    assert "Stop it and release 1.0.2." in done.detail
    [bold] = done.further
    assert (0.025, 0.05) == (bold.look.level, done.look.level)
    assert bold.look.z > bold.look.upper
    assert done.look.z < done.look.upper
    [stage] = done.sample_ratio
    assert 5_300 == stage.control + stage.treatment + sum(stage.further)
    assert 5_300 == done.counts.matured
    assert (1_590.0, (1_590.0,)) == (
        pytest.approx(stage.expected_treatment),
        pytest.approx(stage.expected_further),
    )
    assert {"prediction_distribution", "latency"} <= {each.name for each in bold.health}
    assert {"error_ratio"} == {each.name for each in bold.guardrails}
    page = running.page(done)
    assert "mild 1.0.1" in page
    assert "bold 1.0.2" in page
    assert (done,) == running.ledger.analyses("churn", running.salt)


def test_harm_by_one_treatment_takes_all_of_them_away(running: World) -> None:
    """It lowers risk; who wants to go on with the other plans anew."""
    come_back(running, expose(running, range(5_300)), (0.50, 0.50, 0.36))
    done = running.judge(15)
    assert (V.ROLLBACK, (R.PRIMARY_WORSE,)) == (done.verdict, done.reasons)
    assert "wrong direction (bold)" in done.detail


def test_units_missing_in_one_of_several_arms_make_it_invalid(running: World) -> None:
    """The sample ratio is that of all arms."""
    arms = expose(running, range(3_000))
    assert running.judge(1).verdict is not V.INVALID
    slots = running.experiment.plan.slots(0.3)
    lost = [
        unit
        for unit in range(3_000, 6_000)
        if slots[1].start <= bucket(running.salt, str(unit)) < slots[1].start + slots[1].share
    ]
    kept = [unit for unit in range(3_000, 6_000) if unit not in set(lost[::2])]
    expose(running, kept)
    assert len(arms) == 3_000
    assert (V.INVALID, (R.SAMPLE_RATIO_MISMATCH,)) == ((found := running.judge(1)).verdict, found.reasons)


def test_a_ramp_of_several_treatments_is_pooled_by_stage(tmp_path: Path) -> None:
    """At 10 % each, then at the end: those whom the end moves to a treatment are reserved from the start."""
    for running in several(tmp_path, ramp=[0.1]):
        first = expose(running, range(3_000), share=0.1)
        second = expose(running, range(3_000, 6_000), share=0.3, day=2)
        come_back(running, first, (0.5, 0.5, 0.5))
        done = running.judge(17)
        assert [0.1, 0.3] == [stage.share for stage in done.sample_ratio]
        assert done.verdict is not V.INVALID
        reserved = sum(1 for unit, arm in first.items() if arm == 0 and bucket(running.salt, str(unit)) < 0.6)
        assert (reserved, 6_000) == (done.counts.reserved, done.counts.units)
        assert done.counts.matured == 6_000 - reserved
        assert len(second) == 3_000


def test_a_covariate_takes_out_variance_and_no_effect(tmp_path: Path) -> None:
    """Half of who comes back is told by what a customer spent before; the effect stays, its error shrinks."""
    primary = PLAN["primary"] | {"kind": "mean", "standard_deviation": 0.5}
    del primary["baseline"]
    plain, sharp = (
        _spending(tmp_path / name, primary | extra)
        for name, extra in (("plain", {}), ("sharp", {"covariate": {"feature": "total_spend_30d"}}))
    )
    assert plain.look.variance_reduction is None
    assert 0.6 < sharp.look.variance_reduction < 0.95
    ratio = sharp.look.standard_error / plain.look.standard_error
    assert 1 - sharp.look.variance_reduction == pytest.approx(ratio**2)
    assert sharp.look.estimate == pytest.approx(0.1, abs=3 * sharp.look.standard_error)
    assert plain.control == sharp.control


@pytest.mark.parametrize("kind", [MetricKind.MEAN, MetricKind.PROPORTION])
def test_a_covariate_does_not_bias_the_effect(kind: MetricKind) -> None:
    """Simulated, 1,000 experiments of two stages: the effect on average, its error as wide as it says."""
    dice = np.random.default_rng(8)
    found = [_adjusted(dice, kind) for _ in range(1_000)]
    effects = np.array([sample.effect.value for sample in found])
    errors = np.array([sample.effect.standard_error for sample in found])
    plain = np.array([replace(sample, has_covariate=False).effect.value for sample in found])
    assert effects.mean() == pytest.approx(0.1, abs=4 * effects.std() / 1_000**0.5)
    assert effects.std() == pytest.approx(errors.mean(), rel=0.1)
    reduction = np.mean([sample.variance_reduction for sample in found])
    assert reduction == pytest.approx(1 - effects.var() / plain.var(), abs=0.08)
    assert reduction > 0.1


def _adjusted(dice: np.random.Generator, kind: MetricKind) -> Sample:
    """Return two stages whose metric goes with what was known before, and has an effect of 0.1."""

    def arm(effect: float) -> JointMoments:
        before = dice.normal(size=150)
        if kind is MetricKind.MEAN:
            return JointMoments.of(before + dice.normal(size=150) + effect, before)
        chance = 0.45 + 0.3 * np.tanh(before) + effect
        return JointMoments.of(dice.random(150) < chance, before)

    stages = tuple(StageSample(share, arm(0.0), arm(0.1)) for share in (0.1, 0.5))
    return Sample(kind, stages, has_covariate=True)


def _spending(home: Path, primary: dict[str, Any]) -> Any:
    for running in world(home, primary=primary):
        treated = running.expose(range(3_300), requests=1)
        dice = np.random.default_rng(4)
        running.tell(
            [
                outcome(
                    f"spent-{unit}",
                    BEGAN + DAY,
                    0.02 * (unit % 100) + 0.1 * is_treated + dice.normal(0, 0.2),
                    unit=str(unit),
                )
                for unit, is_treated in treated.items()
            ]
        )
        return running.judge(15)
    return None
