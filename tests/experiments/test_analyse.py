"""An experiment end to end: real ledger, real prediction log, real outcome log."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from pyarrow.parquet import read_table

from include.adapters.artefacts import ArtefactStore
from include.contracts.assignment import bucket
from include.contracts.errors import ExperimentError
from include.contracts.experiment_results import ExperimentReason, ExperimentVerdict
from include.contracts.guardrails import GuardrailVerdict
from include.contracts.predictions import Source, Status
from include.experiments.outcomes import Fate
from include.stats.critical_values import critical_values
from tests.adapters.ledger.trials import PLAN
from tests.experiments.world import BEGAN, DAY, World, outcome, row, world, write_plan

R, V = ExperimentReason, ExperimentVerdict
UNITS = range(3_300)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[World]:
    """Give the world of `PLAN`: 1,600 units an arm at the last look."""
    yield from world(tmp_path)


def test_a_better_version_is_shipped(running: World) -> None:
    """The bound is crossed, no guardrail stands against it; page and ledger say the same."""
    running.come_back(running.expose(UNITS), (0.50, 0.62))
    done = running.analyse(15)
    assert (V.SHIP, (R.PRIMARY_BETTER,)) == (done.verdict, done.reasons)
    assert done.look is not None
    assert done.look.z > done.look.upper > 1.9
    assert done.look.low < 0.12 < done.look.high
    assert done.unbiased_estimate == pytest.approx(done.look.estimate, abs=0.02)
    assert (6_600, 3_300, 3_300) == (done.counts.requests, done.counts.units, done.counts.matured)
    assert {each.name for each in done.health} == {
        "prediction_distribution",
        "confidence_distribution",
        "feature_coverage",
        "latency",
    }
    scores = done.health[0].distribution
    assert (1.0, 1.0) == (pytest.approx(sum(scores.control)), pytest.approx(sum(scores.treatment)))
    assert abs(scores.stability_index) < 0.05
    page = ArtefactStore(running.settings.artefacts_folder).read(str(done.report_uri)).decode()
    assert "SHIP: primary better" in page
    # Bounds, intervals, guardrails, slices, and the distributions of score, confidence and latency.
    assert page.count("<svg") == 7
    assert (done,) == running.ledger.analyses("churn", "offers-1")
    assert running.ledger.verify() > 0


def test_a_worse_version_is_rolled_back(running: World) -> None:
    """A two-sided test sees it."""
    running.come_back(running.expose(UNITS), (0.50, 0.38))
    done = running.judge(15)
    assert (V.ROLLBACK, (R.PRIMARY_WORSE,)) == (done.verdict, done.reasons)


def test_where_nothing_differs_nothing_is_concluded(running: World) -> None:
    """The last look spends what is left of alpha, and a person decides."""
    running.come_back(running.expose(UNITS), (0.50, 0.50))
    done = running.judge(15)
    assert (V.HOLD, (R.INCONCLUSIVE,)) == (done.verdict, done.reasons)
    assert done.look.final
    assert done.look.alpha_spent == pytest.approx(0.05)


def test_only_matured_units_are_information(running: World) -> None:
    """A week after the exposures nobody has matured, so there is no look; nobody sees an effect."""
    running.come_back(running.expose(UNITS), (0.50, 0.62))
    early = running.judge(7)
    assert (V.CONTINUE, (R.LOOK_NOT_DUE,)) == (early.verdict, early.reasons)
    assert (0, 0.25, None, None) == (
        early.counts.matured,
        early.next_look,
        early.look,
        early.control,
    )


def test_looks_follow_information_and_extra_ones_cost_alpha(running: World) -> None:
    """Two batches: a planned look, one asked for besides, and both count at the last one."""
    first = running.expose(range(1_000))
    running.come_back(first, (0.50, 0.50))
    second = running.expose(range(1_000, 1_400), day=2)
    running.come_back(second, (0.50, 0.50), day=3, metric="came_back", seed=3)
    third = running.expose(range(1_400, 3_300), day=4)
    running.come_back(third, (0.50, 0.50), day=5, seed=4)
    planned = running.analyse(14.5)
    assert (True, 0.31) == (planned.look.planned, pytest.approx(planned.look.fraction, abs=0.01))
    idle = running.analyse(15)
    assert (V.CONTINUE, (R.LOOK_NOT_DUE,), None) == (idle.verdict, idle.reasons, idle.look)
    again = running.analyse(15.1, extra_look=True)
    assert (R.NO_NEW_INFORMATION,) == again.reasons
    extra = running.analyse(16.5, extra_look=True)
    assert (False, 2) == (extra.look.planned, extra.look.number)
    last = running.analyse(18.5)
    assert (3, True) == (last.look.number, last.look.final)
    # With one look less its bound would be lower: the extra one was paid for.
    assert last.look.upper > critical_values([planned.look.fraction, 1.0])[-1]
    assert planned.look.alpha_spent < extra.look.alpha_spent < last.look.alpha_spent
    assert (V.HOLD, (R.INCONCLUSIVE,)) == (last.verdict, last.reasons)
    over = running.analyse(19, extra_look=True)
    assert (V.HOLD, None) == (over.verdict, over.look)


def test_the_same_moment_is_analysed_once(running: World) -> None:
    """A task that runs again gets what the ledger holds; an earlier moment is refused."""
    treated = running.expose(UNITS)
    running.come_back(treated, (0.50, 0.50))
    first = running.analyse(15)
    running.come_back(running.expose(range(4_000, 5_000)), (1.0, 0.0))
    assert first == running.analyse(15)
    with pytest.raises(ExperimentError, match="looks follow each other"):
        running.analyse(14.5)
    with pytest.raises(ExperimentError, match="nothing can be said as of"):
        running.analyse(0)


def test_a_changed_plan_is_invalid_loudly(running: World) -> None:
    """Whatever the data say, and although the change looks harmless."""
    running.come_back(running.expose(UNITS), (0.50, 0.62))
    write_plan(running.folder, running.plan | {"within": "9w"})
    done = running.analyse(15)
    assert (V.INVALID, (R.PLAN_CHANGED,), None) == (done.verdict, done.reasons, done.look)
    (running.folder.path / "experiments" / "offers.yaml").unlink()
    assert (R.PLAN_MISSING,) == running.analyse(16).reasons


def test_units_that_went_missing_make_it_invalid(running: World) -> None:
    """A fifth of the treated never reach the log: no effect is shown, since it would be wrong."""
    running.expose([unit for unit in UNITS if bucket("offers-1", str(unit)) >= 0.5 or unit % 5])
    done = running.judge(15)
    assert (V.INVALID, (R.SAMPLE_RATIO_MISMATCH,), None) == (done.verdict, done.reasons, done.look)
    assert done.sample_ratio[0].mismatch


def test_a_version_that_fails_is_rolled_back_before_any_look(running: World) -> None:
    """Guardrails speak at any time: errors of the treated are three times those of the others."""
    running.expose(range(1_500), failing=(0.02, 0.08))
    done = running.judge(1)
    assert (V.ROLLBACK, (R.GUARDRAIL_BREACHED,)) == (done.verdict, done.reasons)
    assert GuardrailVerdict.INFERIOR is done.guardrails[0].result.verdict


def test_every_outcome_is_counted_or_told_of(running: World) -> None:
    """Unknown prediction, before exposure, twice, no number, unknown metric, strangers: none vanishes."""
    running.expose(range(100), day=1, requests=1)
    before = row(500, BEGAN + 0.5 * DAY, None, None, None)
    first = row(7, BEGAN + 1.5 * DAY, bucket("offers-1", "7"), 0.5, "offers-1")
    running.log([before, first])
    later = BEGAN + 2 * DAY
    unknown = first.prediction_id[:-4] + "ffff"
    running.tell(
        [
            outcome("by unit", later, unit="1"),
            outcome("by prediction", later, prediction_id=first.prediction_id),
            outcome("unknown", later, prediction_id=unknown),
            outcome("no id", later, prediction_id="not an id"),
            outcome("outside", later, prediction_id=before.prediction_id),
            outcome("stranger", later, unit="900"),
            outcome("no number", later, value=float("nan"), unit="2"),
            outcome("early", BEGAN + 0.1 * DAY, unit="3"),
            outcome("late", BEGAN + 15.5 * DAY, unit="4"),
            outcome("other metric", later, metric="joy", unit="5"),
        ]
    )
    # Two gateways, each with an index of its own, may both have logged one.
    running.tell([outcome("by unit", later, unit="1")], again=True)
    done = running.analyse(16)
    assert 2 == done.counts.outcomes
    assert {
        Fate.UNKNOWN_PREDICTION: 2,
        Fate.OUTSIDE_EXPERIMENT: 1,
        Fate.NOT_EXPOSED: 1,
        Fate.NOT_FINITE: 1,
        Fate.BEFORE_EXPOSURE: 1,
        Fate.AFTER_HORIZON: 1,
        Fate.UNKNOWN_METRIC: 1,
        Fate.DUPLICATE: 1,
    } == done.counts.set_aside
    name, batch = str(done.quarantine).split("/")
    kept = read_table(running.settings.quarantine_folder / name / f"{batch}.parquet").to_pylist()
    assert {
        ("early", "before_exposure"),
        ("unknown", "unknown_prediction"),
        ("no id", "unknown_prediction"),
        ("no number", "not_finite"),
        ("other metric", "unknown_metric"),
        ("by unit", "duplicate"),
    } == {(each["outcome_id"], each["reason"]) for each in kept}
    assert "unknown prediction" in running.page(done)


def test_what_is_no_part_of_the_experiment_is_no_exposure(running: World) -> None:
    """Shadow rows, other salts, unsplit traffic and other models change nothing."""
    running.expose(range(200), requests=1)
    alone = running.judge(1).counts
    at = BEGAN + DAY
    running.log(
        [
            row(900, at, 0.1, 0.5, "other"),
            row(901, at, None, None, None),
            row(902, at, 0.1, 0.5, "offers-1", source=Source.SHADOW),
            row(903, at, 0.1, 0.5, "offers-1", model="spend"),
        ]
    )
    assert alone == running.judge(2).counts


def test_rows_against_the_hash_make_it_invalid(running: World) -> None:
    """A unit on the wrong side of its place, or at a place that is not its own."""
    running.expose(range(200), requests=1)
    wrong = row(300, BEGAN + DAY, bucket("offers-1", "300"), 0.5, "offers-1")
    other = "champion" if wrong.assigned_variant == "challenger" else "challenger"
    running.log([replace(wrong, assigned_variant=other)])
    assert (R.ASSIGNMENT_INCONSISTENT,) == running.judge(2).reasons


def test_nobody_exposed_is_no_verdict(running: World) -> None:
    """It goes on until its time is over."""
    assert (R.NO_EXPOSURES,) == running.judge(3).reasons
    over = running.judge(8 * 7 + 15)
    assert (V.HOLD, (R.NO_EXPOSURES,)) == (over.verdict, over.reasons)


def test_a_ramp_is_pooled_by_stage(tmp_path: Path) -> None:
    """At 10 % all came back, at 50 % hardly anybody: adding up the arms would see harm in that."""
    for running in world(tmp_path, {"information": 700.0}, ramp=[0.1]):
        easy = running.expose(range(3_000), share=0.1)
        running.come_back(easy, (0.90, 0.90))
        hard = running.expose(range(3_000, 6_000), day=3, share=0.5)
        running.come_back(hard, (0.20, 0.20), day=4)
        done = running.judge(18)
        small, large = done.sample_ratio
        assert (0.1, 0.5) == (small.share, large.share)
        # Control units of the first stage that the second one moves are set aside.
        assert 1_200 == pytest.approx(done.counts.reserved, abs=80)
        assert small.control + small.treatment + done.counts.reserved == 3_000
        assert not small.mismatch
        assert not large.mismatch
        assert abs(done.look.z) < 3
        assert done.treatment.value < done.control.value - 0.1
        # 1 / (1/300 + 1/1500) and 1 / (1/1500 + 1/1500).
        assert 250 + 750 == pytest.approx(done.look.information, rel=0.05)


def test_a_complaint_that_nobody_makes_is_ruled_out_in_a_ramp_too(tmp_path: Path) -> None:
    """No event in any stage is something to go by."""
    guardrails = [{"metric": "complaint", "margin": 0.02}]
    for running in world(tmp_path, ramp=[0.2], guardrails=guardrails):
        running.expose(range(2_000), share=0.2, requests=1)
        running.expose(range(2_000, 4_000), day=1, share=0.5, requests=1)
        [complaint] = running.judge(16).guardrails
        assert GuardrailVerdict.NON_INFERIOR is complaint.result.verdict


def test_labels_are_awaited_and_their_absence_is_told(tmp_path: Path) -> None:
    """A unit's label is the first after its exposure; where a third is missing, a person decides."""
    primary = PLAN["primary"] | {"metric": "kept"}
    for running in world(tmp_path, primary=primary):
        treated = running.expose(range(3_300), requests=1)
        # What was true at midnight, before anybody was exposed, is nobody's label.
        running.label(dict.fromkeys(treated, 0.0), day=0)
        running.label({unit: 1.0 for unit in treated if unit % 3}, day=1)
        early = running.judge(14.5)
        assert (0, 0) == (early.counts.matured, early.counts.missing)
        done = running.judge(16)
        assert (3_300, 1_100) == (done.counts.matured, done.counts.missing)
        assert (V.HOLD, R.MISSING_DATA) == (done.verdict, done.reasons[0])


def test_labels_missing_in_one_arm_hold(tmp_path: Path) -> None:
    """Those that are there are no fair sample, however much better they look."""
    primary = PLAN["primary"] | {"metric": "kept"}
    for running in world(tmp_path, primary=primary):
        treated = running.expose(range(3_300), requests=1)
        told = {unit: float(unit % 2 or arm) for unit, arm in treated.items() if not arm or unit % 4}
        running.label(told, day=1)
        done = running.judge(16)
        assert (V.HOLD, (R.PRIMARY_BETTER, R.MISSING_DIFFERS)) == (done.verdict, done.reasons)


def test_a_ratio_is_clustered_on_the_unit(tmp_path: Path) -> None:
    """1 to 50 requests a unit that fail together: a test over requests would be four times as sure."""
    primary = PLAN["primary"] | {
        "metric": "error_ratio",
        "kind": "ratio",
        "direction": "decrease",
        "baseline": None,
        "standard_deviation": 0.2,
    }
    for running in world(tmp_path, {"information": 100.0}, primary=primary):
        rows = []
        for unit in range(400):
            place = bucket("offers-1", str(unit))
            status = Status.FAILED if unit % 10 == 0 else Status.OK
            asked = range(1 + unit % 50)
            rows += [
                row(unit, BEGAN + number * DAY / 100, place, 0.5, "offers-1", status) for number in asked
            ]
        running.log(rows)
        look = running.judge(2).look
        share = 0.1 * 0.9
        naive = (share * 2 / (len(rows) / 2)) ** 0.5
        assert look.standard_error > 3.5 * naive
        assert 400 == running.judge(2).counts.units


def test_only_the_population_is_analysed(tmp_path: Path) -> None:
    """A unit belongs to it by what was logged at its first exposure."""
    conditions = [
        {"feature": "total_spend_30d", "minimum": 50},
        {"feature": "preferred_category", "values": ["DAIRY"]},
    ]
    for running in world(tmp_path, population=conditions):
        running.come_back(running.expose(range(400), requests=1), (0.5, 0.5))
        counts = running.judge(15).counts
        assert (400, 200, 200) == (counts.units, counts.outside_population, counts.matured)
        assert counts.set_aside[Fate.NOT_ANALYSED] > 50


def test_no_part_of_a_slice_may_be_made_worse_off(tmp_path: Path) -> None:
    """All in all it is better, for one age it is much worse: fairness rolls it back."""
    guardrails = [{"metric": "fairness", "slice": "customer_demographics.age", "margin": 0.1}]
    for running in world(tmp_path, guardrails=guardrails):
        running.demographics({unit: "young" if unit % 4 else "old" for unit in UNITS})
        treated = running.expose(UNITS, requests=1)
        running.come_back({u: t for u, t in treated.items() if u % 4}, (0.4, 0.6))
        running.come_back({u: t for u, t in treated.items() if not u % 4}, (0.6, 0.3))
        done = running.judge(15)
        assert (V.ROLLBACK, (R.GUARDRAIL_BREACHED,)) == (done.verdict, done.reasons)
        verdicts = {each.part: each.result.verdict for each in done.guardrails}
        assert {"old": GuardrailVerdict.INFERIOR, "young": GuardrailVerdict.NON_INFERIOR} == verdicts
        assert {"old", "young"} == {
            each.part for each in done.slices if each.slice == "customer_demographics.age"
        }


def test_guardrails_that_do_not_know_stop_a_ship(tmp_path: Path) -> None:
    """Few complaints and few requests: harm is not ruled out, and inconclusive is not a pass."""
    guardrails = [
        {"metric": "latency_p99_seconds", "margin": 0.02},
        {"metric": "complaint", "margin": 0.02},
        {"metric": "fallback_ratio", "margin": 0.01},
    ]
    for running in world(tmp_path, guardrails=guardrails):
        treated = running.expose(UNITS, requests=1)
        running.come_back(treated, (0.50, 0.62))
        running.come_back(treated, (0.04, 0.05), metric="complaint")
        done = running.judge(15)
        assert (V.HOLD, (R.GUARDRAIL_INCONCLUSIVE,)) == (done.verdict, done.reasons)
        verdicts = [each.result.verdict for each in done.guardrails]
        assert [
            GuardrailVerdict.NON_INFERIOR,
            GuardrailVerdict.INCONCLUSIVE,
            GuardrailVerdict.NON_INFERIOR,
        ] == verdicts
        assert 0.045 == pytest.approx(done.guardrails[0].result.control, rel=0.25)


def test_a_slow_version_is_rolled_back(tmp_path: Path) -> None:
    """Its p99 is three times control's."""
    guardrails = [{"metric": "latency_p99_seconds", "margin": 0.02}]
    for running in world(tmp_path, guardrails=guardrails):
        running.expose(UNITS, requests=1, slow=(0.01, 0.03))
        done = running.judge(1)
        assert (V.ROLLBACK, (R.GUARDRAIL_BREACHED,)) == (done.verdict, done.reasons)
        assert 0.09 == pytest.approx(done.guardrails[0].result.harm, rel=0.3)
