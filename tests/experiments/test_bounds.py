"""Which look is due, what it costs, and what follows: pure, by tables and by simulation."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from include.contracts.experiment_plan import ExperimentPlan, MetricKind
from include.contracts.experiment_results import (
    ExperimentReason,
    ExperimentVerdict,
    JudgedGuardrail,
    Look,
)
from include.contracts.experiments import Experiment
from include.contracts.guardrails import GuardrailReason, GuardrailResult, GuardrailVerdict
from include.experiments.bounds import Timetable, take_looks, timetable
from include.experiments.decide import Compared, Evidence, decide
from include.experiments.samples import Sample, StageSample
from include.experiments.size import _arms
from include.stats.critical_values import critical_values
from include.stats.group_sequential_design import plan_design
from include.stats.sufficient_statistics import JointMoments
from tests.adapters.ledger.trials import BEGAN, PLAN, experiment, plan

DAY = timedelta(days=1)
ENDS = BEGAN + 70 * DAY
R, V = ExperimentReason, ExperimentVerdict


def _drift(of: ExperimentPlan) -> float:
    primary = of.primary
    return plan_design(primary.looks, primary.alpha, primary.sides, primary.power).drift


def sample(units: int, control: float = 0.5, treatment: float = 0.5) -> Sample:
    """Return a proportion in as many units of each arm."""

    def arm(share: float) -> JointMoments:
        successes = round(share * units)
        return JointMoments.of(np.arange(units) < successes, np.ones(units))

    return Sample(MetricKind.PROPORTION, (StageSample(0.5, arm(control), arm(treatment)),))


def looked(of: Experiment, sizes: Sequence[int], *, days: Sequence[int] = ()) -> list[Look]:
    """Take looks at growing numbers of units an arm, planned or not."""
    looks: list[Look] = []
    for number, units in enumerate(sizes):
        day = days[number] if days else number + 1
        when = timetable(of, [units / 2], [looks], BEGAN + day * DAY, ENDS)
        [look] = take_looks(of, [sample(units)], [looks], when, BEGAN + day * DAY)
        assert look is not None
        looks.append(look)
    return looks


@pytest.mark.parametrize(
    ("sizes", "next_size", "day", "expected"),
    [
        ((), 300, 1, (False, False, True)),
        ((), 400, 1, (True, False, True)),
        ((400,), 401, 2, (False, False, False)),
        ((400,), 700, 2, (False, False, True)),
        ((300,), 450, 2, (True, False, True)),
        ((400,), 1_300, 2, (True, False, True)),
        ((400,), 1_700, 2, (True, True, True)),
        ((400,), 500, 71, (True, True, True)),
        ((1_700,), 1_900, 3, (False, True, False)),
    ],
)
def test_a_look_is_due_where_the_plan_has_one(sizes, next_size, day, expected):
    """1,600 units an arm are the whole; looks at 400, 800 and 1,200; time may run out before."""
    of = experiment()
    when = timetable(of, [next_size / 2], [looked(of, sizes)], BEGAN + day * DAY, ENDS)
    assert expected == (when.due, when.final, when.new)


def test_a_last_look_spends_what_is_left_early_or_late():
    """Under- and over-running: exactly alpha, whatever the information."""
    of = experiment()
    late = looked(of, (400, 2_400))
    early = looked(of, (400, 700), days=(1, 71))
    for looks in (late, early):
        assert looks[-1].final
        assert 0.05 == pytest.approx(looks[-1].alpha_spent)
        assert 1.95 < looks[-1].upper < 2.1
    assert early[-1].upper < looked(of, (400, 700))[-1].upper


@pytest.mark.parametrize("share", [0.5, 0.1])
@pytest.mark.parametrize("direction", ["increase", "decrease"])
def test_the_planned_units_give_the_planned_power(share, direction):
    """Simulated at the smallest difference worth finding, with the plan's looks and the split's sizes."""
    variants = [
        {"name": "control", "version": "champion", "share": 1 - share},
        {"name": "treatment", "version": "candidate", "share": share},
    ]
    asked = plan(primary=PLAN["primary"] | {"direction": direction, "baseline": 0.2}, variants=variants)
    arms = _arms(asked, asked.treatments[0], 0.2, None, _drift(asked))
    assert share == pytest.approx(arms.treatment / arms.total, abs=1e-3)
    rates = (0.2, asked.primary.model_copy(update={"baseline": 0.2}).expected)
    dice = np.random.default_rng(11)
    seen, shares = [np.zeros(10_000), np.zeros(10_000)], []
    for part in np.diff(asked.primary.looks, prepend=0.0):
        for arm, (units, rate) in enumerate(zip((arms.control, arms.treatment), rates, strict=True)):
            seen[arm] = seen[arm] + dice.binomial(round(units * part), rate, 10_000)
        shares.append(list(seen))
    crossed = np.zeros(10_000, dtype=bool)
    for fraction, (control, treatment), bound in zip(
        asked.primary.looks, shares, critical_values(asked.primary.looks), strict=True
    ):
        sizes = (arms.control * fraction, arms.treatment * fraction)
        first, second = control / sizes[0], treatment / sizes[1]
        error = np.sqrt(first * (1 - first) / sizes[0] + second * (1 - second) / sizes[1])
        crossed |= (second - first if direction == "increase" else first - second) / error > bound
    assert crossed.mean() > 0.8 - 4 * (0.8 * 0.2 / 10_000) ** 0.5


SCHEDULES = ((400, 800, 1_200, 1_600), (100, 130, 900, 1_000, 1_900), (700, 900), (1_600,))


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
def test_looks_as_one_pleases_keep_the_type_one_error(spending):
    """Planned, extra, uneven, late and early looks: of 20,000 A/A experiments each, 5 % alarm."""
    of = experiment(plan=plan(primary=PLAN["primary"] | {"spending": spending}))
    dice = np.random.default_rng(7)
    for sizes in SCHEDULES:
        days = [*range(1, len(sizes)), 71]
        looks = looked(of, sizes, days=days)
        steps = np.sqrt(np.diff(sizes, prepend=0)) * dice.normal(size=(20_000, len(sizes)))
        z = steps.cumsum(axis=1) / np.sqrt(sizes)
        alarms = (np.abs(z) > [look.upper for look in looks]).any(axis=1).mean()
        assert 0.05 == pytest.approx(alarms, abs=4 * (0.05 * 0.95 / 20_000) ** 0.5)


def test_futility_ends_a_one_sided_test():
    """A lower bound that rises to the upper one; it binds nobody."""
    of = experiment(plan=plan(primary=PLAN["primary"] | {"sides": 1, "alpha": 0.025, "futility": "pocock"}))
    looks = looked(of, (400, 800, 1_200, 1_700))
    lowers = [look.lower for look in looks]
    assert lowers == sorted(lowers)
    assert looks[-1].upper == pytest.approx(looks[-1].lower, abs=0.2)


def test_a_smaller_value_may_be_the_better_one():
    """Z is positive where treatment is better, whichever way that is."""
    of = experiment(plan=plan(primary=PLAN["primary"] | {"direction": "decrease"}))
    when = timetable(of, [400], [[]], BEGAN + DAY, ENDS)
    [look] = take_looks(of, [sample(800, 0.5, 0.4)], [[]], when, BEGAN + DAY)
    assert look.z > 0 > look.estimate


def test_few_events_are_judged_exactly_or_not_at_all():
    """Fisher's test where there is one stage; nobody converted: no statistic."""
    of = experiment()
    when = timetable(of, [400], [[]], BEGAN + DAY, ENDS)
    [few] = take_looks(of, [sample(800, 0.0, 0.005)], [[]], when, BEGAN + DAY)
    # Fisher's one-sided p of 0 against 4 of 800 is about 1/16.
    assert 1.53 == pytest.approx(few.z, abs=0.02)
    assert (None,) == take_looks(of, [sample(800, 0.0, 0.0)], [[]], when, BEGAN + DAY)


def guardrail(verdict: GuardrailVerdict) -> JudgedGuardrail:
    """Return a judged guardrail."""
    result = GuardrailResult(
        metric="error_ratio", verdict=verdict, reason=GuardrailReason.UNDECIDED, margin=0.01
    )
    return JudgedGuardrail(name="error_ratio", result=result)


def look(z: float, *, lower: float | None = -2.0) -> Look:
    """Return a look with bounds at 2."""
    figures = {"estimate": 0.0, "standard_error": 1.0, "low": -1.0, "high": 1.0, "p_value": 0.5}
    return Look(
        as_of=BEGAN,
        number=1,
        planned=True,
        final=False,
        fraction=0.5,
        information=400.0,
        z=z,
        upper=2.0,
        lower=lower,
        alpha_spent=0.01,
        **figures,
    )


OPEN = Timetable(fraction=0.5, due=True, final=False, new=True, next_look=0.75)
FINE, BREACHED, OPEN_QUESTION = (
    guardrail(verdict)
    for verdict in (
        GuardrailVerdict.NON_INFERIOR,
        GuardrailVerdict.INFERIOR,
        GuardrailVerdict.INCONCLUSIVE,
    )
)
BASE = Evidence(
    units=1_000,
    misplaced=0,
    mismatch=False,
    missing_ratio=0.0,
    maximum_missing_ratio=0.2,
    missing_differs=False,
    comparisons=(Compared("treatment", (look(1.0),), (FINE,)),),
    took=True,
    wanted=True,
    when=OPEN,
    two_sided=True,
)
OVER = replace(OPEN, final=True)
BETTER, WORSE = (look(2.5),), (look(-2.5),)


@pytest.mark.parametrize(
    ("changes", "verdict", "reasons"),
    [
        ({}, V.CONTINUE, (R.NOT_SIGNIFICANT,)),
        ({"looks": BETTER}, V.SHIP, (R.PRIMARY_BETTER,)),
        # Crossed at an earlier look, waiting for a guardrail since then.
        ({"looks": (*BETTER, look(1.5))}, V.SHIP, (R.PRIMARY_BETTER,)),
        ({"looks": WORSE}, V.ROLLBACK, (R.PRIMARY_WORSE,)),
        ({"looks": WORSE, "two_sided": False}, V.HOLD, (R.FUTILE,)),
        ({"looks": (look(-9.0, lower=None),), "two_sided": False}, V.CONTINUE, (R.NOT_SIGNIFICANT,)),
        ({"looks": BETTER, "guardrails": (FINE, BREACHED)}, V.ROLLBACK, (R.GUARDRAIL_BREACHED,)),
        ({"looks": BETTER, "guardrails": (OPEN_QUESTION,)}, V.CONTINUE, (R.GUARDRAIL_INCONCLUSIVE,)),
        (
            {"looks": BETTER, "guardrails": (OPEN_QUESTION,), "when": OVER},
            V.HOLD,
            (R.GUARDRAIL_INCONCLUSIVE,),
        ),
        ({"looks": BETTER, "missing_ratio": 0.3}, V.HOLD, (R.PRIMARY_BETTER, R.MISSING_DATA)),
        ({"looks": BETTER, "missing_differs": True}, V.HOLD, (R.PRIMARY_BETTER, R.MISSING_DIFFERS)),
        ({"missing_ratio": 0.3}, V.HOLD, (R.MISSING_DATA,)),
        ({"when": OVER}, V.HOLD, (R.INCONCLUSIVE,)),
        ({"when": OVER, "looks": ()}, V.HOLD, (R.TOO_FEW_EVENTS,)),
        ({"took": False, "wanted": False}, V.CONTINUE, (R.LOOK_NOT_DUE,)),
        ({"took": False, "looks": ()}, V.CONTINUE, (R.TOO_FEW_EVENTS,)),
        ({"took": False, "when": replace(OPEN, new=False)}, V.CONTINUE, (R.NO_NEW_INFORMATION,)),
        ({"units": 0, "looks": ()}, V.CONTINUE, (R.NO_EXPOSURES,)),
        ({"looks": BETTER, "mismatch": True}, V.INVALID, (R.SAMPLE_RATIO_MISMATCH,)),
        (
            {"mismatch": True, "misplaced": 3, "guardrails": (BREACHED,)},
            V.INVALID,
            (R.ASSIGNMENT_INCONSISTENT, R.SAMPLE_RATIO_MISMATCH),
        ),
    ],
)
def test_the_verdict_follows_from_the_evidence(changes, verdict, reasons):
    """What is broken comes before harm, harm before benefit, and not knowing never ships."""
    [compared] = BASE.comparisons
    found = {key: changes[key] for key in ("looks", "guardrails") if key in changes}
    rest = {key: value for key, value in changes.items() if key not in found}
    decided = decide(replace(BASE, comparisons=(replace(compared, **found),), **rest))
    assert (verdict, reasons) == (decided.verdict, decided.reasons)
