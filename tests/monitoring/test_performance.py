"""`<model>_performance` on a made-up model, day by day: what it measures, alarms on, and asks for."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from include.adapters.ledger.ledger import Ledger
from include.contracts.alerts import Severity
from include.contracts.errors import ContractError, DataError
from include.contracts.measurements import Measurement, Verdict
from include.contracts.monitoring import Monitoring
from include.contracts.performance import Cause, Comparison, PerformanceReason, RetrainDecision
from include.monitoring.baselines import BASELINE
from include.monitoring.history import BASELINE_DAYS
from include.monitoring.performance import CAUSE, TRUST
from include.monitoring.performance_plan import plan_of
from include.monitoring.performance_run import alert, ask_for_training
from tests.monitoring.labelled_world import CHURN, DAY, FIRST, SPEND, Weather, World, moment_of, of, world

TRAILING, FROZEN = Comparison.TRAILING.metric, Comparison.BASELINE.metric
HEALTHY = 22
"""Days that went well before anything happens."""
BAD_DAYS = 4


@pytest.fixture(scope="module")
def declined(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world where, after weeks that went well, the labels of many units turn round."""
    made = world(tmp_path_factory.mktemp("world"))
    made.live(range(HEALTHY))
    made.live(range(HEALTHY, HEALTHY + BAD_DAYS), Weather(flipped=0.5))
    made.live(range(HEALTHY + BAD_DAYS, HEALTHY + 13))
    for day in range(HEALTHY - 1, HEALTHY + BAD_DAYS + 1):
        made.look(day)
    return made


@pytest.fixture
def ledger(declined: World) -> Iterator[Ledger]:
    """The declined world's ledger."""
    with closing(Ledger(declined.settings.ledger_uri)) as opened:
        yield opened


def looked(made: World, day: int) -> list[Measurement]:
    """Return what the run of a day stored."""
    [run] = [each for each in made.store.runs("churn") if each.as_of == moment_of(day)]
    return list(made.store.measured(run))


def test_a_day_is_measured_by_group_with_intervals(declined):
    """All of it, by version and by variant; the day and the week that ends with it."""
    measured = looked(declined, HEALTHY - 1)
    [day] = [each for each in of(measured, "roc_auc") if each.window_start == FIRST + (HEALTHY - 1) * DAY]
    [week] = of(measured, "roc_auc", days=7)

    assert (300, 2_100) == (day.n, week.n)
    assert day.low < day.value < day.high
    assert week.high - week.low < day.high - day.low
    assert day.value == of(measured, "roc_auc", version="1.0.0")[-1].value
    assert day.value == of(measured, "roc_auc", variant="champion")[-1].value
    assert [] == [each for each in measured if each.slice is not None]


def test_the_first_run_catches_up(declined):
    """Days that no run measured are measured, and make the version's baseline."""
    measured = looked(declined, HEALTHY - 1)
    [baseline] = of(measured, BASELINE, subject="roc_auc", days=BASELINE_DAYS, version="1.0.0")

    assert HEALTHY == len(of(measured, "accuracy"))
    assert (FIRST, BASELINE_DAYS) == (baseline.window_start, baseline.details["days"])
    assert [] == of(looked(declined, HEALTHY), BASELINE, days=BASELINE_DAYS, version="1.0.0")


def test_healthy_days_are_not_alarms(declined):
    """Nothing is worse, by either comparison."""
    measured = looked(declined, HEALTHY - 1)
    compared = [*of(measured, TRAILING), *of(measured, FROZEN), *of(measured, FROZEN, days=7)]

    assert {Verdict.OK} == {each.verdict for each in compared}
    assert any(of(measured, FROZEN, days=7))


def test_a_decline_is_an_alarm_and_a_changed_relation_is_named(declined):
    """By both comparisons, with the cause; the run and its summary say so."""
    [run] = [each for each in declined.store.runs("churn") if each.as_of == moment_of(HEALTHY + 1)]
    measured = looked(declined, HEALTHY + 1)
    worse = {each.metric for each in measured if each.reason == PerformanceReason.WORSE}
    [cause] = [each for each in measured if each.metric == CAUSE]

    assert (Verdict.ALARM, {TRAILING, FROZEN}) == (run.verdict, worse)
    assert "worse by" in run.summary
    assert (Cause.CONCEPT, True) == (cause.reason, cause.details["unexplained"]["low"] > 0)


def test_estimates_are_held_against_the_truth_and_distrusted(declined):
    """They were right while the relation held; it changed, they went on as before, and that is said."""
    before = of(looked(declined, HEALTHY - 1), "expected_roc_auc")
    [hits] = of(looked(declined, HEALTHY + BAD_DAYS), TRUST, subject="roc_auc")

    assert [HEALTHY + number for number in range(13)] == [(each.window_start - FIRST).days for each in before]
    assert all(each.low < each.value < each.high for each in before)
    assert (PerformanceReason.DISTRUSTED, Verdict.WARNING) == (hits.reason, hits.verdict)


def test_labels_mature_and_their_lag_is_kept(declined):
    """All labels of a day came in fourteen days after it began."""
    [maturity] = of(looked(declined, HEALTHY), "maturity")
    assert (1.0, 300, [14], [1.0]) == (
        maturity.value,
        maturity.n,
        maturity.details["days"],
        maturity.details["share"],
    )


def test_alerts_open_with_figures_and_close_when_it_is_over(declined, ledger):
    """Raised once, with comparison, interval and cause; resolved by a later run that finds all well."""
    as_of = moment_of(HEALTHY + 2)
    assert "whole" in alert(declined.settings, CHURN, as_of) == alert(declined.settings, CHURN, as_of)
    [raised] = [each for each in ledger.open_alerts("churn") if each.content.subject == "whole"]

    assert (Severity.ERROR, "/dags/churn_performance") == (raised.content.severity, raised.content.page)
    assert "other inputs do not explain it" in raised.content.message
    assert {"degradation", "low", "high", "reference", "current", "labels"} <= raised.content.figures[
        "worse"
    ][0].keys()
    alert(declined.settings, CHURN, moment_of(HEALTHY - 1))
    assert "whole" not in {each.content.subject for each in ledger.open_alerts("churn")}


def test_the_page_shows_decline_cause_and_estimates(declined):
    """One file without a script, kept in the artefact store; the alert links to it."""
    [run] = [each for each in declined.store.runs("churn") if each.as_of == moment_of(HEALTHY + 1)]
    page = (declined.settings.artefacts_folder / run.report_uri).read_text()

    for shown in ("concept", "degradation_vs_baseline", '<circle class="expected"', '<line class="baseline"'):
        assert shown in page
    assert "<script" not in page


def test_three_bad_days_ask_for_a_training_once(declined, ledger):
    """With the days and figures, for the system; the same day again, and the next one, ask no more."""
    decisions = []
    for number in (1, 2, 2, 3):
        # Runs of the past are asked as they were: nothing later was measured then.
        decisions.append(ask_for_training(declined.settings, CHURN, moment_of(HEALTHY + number)))
    [request] = ledger.retrain_requests("churn")

    ask, already, short = RetrainDecision.ASK, RetrainDecision.ASKED_ALREADY, RetrainDecision.TOO_SHORT
    assert [(short, False), (ask, True), (already, True), (already, True)] == decisions
    assert ("performance", "system", moment_of(HEALTHY + 2)) == (
        request.reason.value,
        request.requested_by,
        request.as_of,
    )
    assert 3 == len(request.figures["days"])
    assert request.why.startswith("performance degradation > 15% for 3 consecutive days: 2017-03-23")
    assert ledger.verify() > 0


def test_a_run_again_says_the_same(declined):
    """Though days after it were looked at since."""
    before, (_, after) = looked(declined, HEALTHY - 1), declined.look(HEALTHY - 1)
    said = [
        [each for each in run if each.window_start == FIRST + (HEALTHY - 1) * DAY] for run in (before, after)
    ]
    assert said[0] == said[1]
    assert of(before, BASELINE, days=14, version="1.0.0") == of(after, BASELINE, days=14, version="1.0.0")


def test_without_predictions_or_labels_nothing_is_judged(tmp_path):
    """No data is said, and too few labels; neither is an alarm, neither resolves one."""
    made = world(tmp_path)
    run, measured = made.look(0)
    assert (Verdict.NO_DATA, {PerformanceReason.NO_PREDICTIONS.value}) == (
        run.verdict,
        {each.reason for each in measured if each.metric == "roc_auc"},
    )
    made.live([1], Weather(units=50))
    made.live([2], Weather(labelled=False))
    assert Verdict.TOO_FEW == made.look(1)[0].verdict == made.look(2)[0].verdict
    assert [] == alert(made.settings, CHURN, moment_of(2))
    assert (RetrainDecision.NO_DAYS, False) == ask_for_training(made.settings, CHURN, moment_of(2))


def test_bad_labels_are_counted_and_told(tmp_path):
    """By reason, in the run and in an alert of their own."""
    made = world(tmp_path)
    made.live([0])
    made.label(FIRST, {"1": 7.0}, moment_of(0) + DAY)
    _, measured = made.look(1)
    [refused] = [each for each in measured if each.metric == "refused"]

    assert (1, {"impossible_value": 1}, Verdict.WARNING) == (refused.value, refused.details, refused.verdict)
    assert ["labels"] == alert(made.settings, CHURN, moment_of(1))


def test_late_labels_change_what_was_measured_of_their_day(tmp_path):
    """The day is measured again by the run that finds them."""
    made = world(tmp_path)
    made.live([0], Weather(units=150))
    made.look(0)
    dropped = {str(number): float(number % 2) for number in range(150)}
    made.label(FIRST, dropped, moment_of(0) + 3 * DAY)
    _, measured = made.look(3)
    [again] = [each for each in of(measured, "roc_auc") if each.window_start == FIRST]

    assert 150 == again.n
    assert again.value < 0.65


def test_other_inputs_are_named_as_the_cause(tmp_path):
    """The model meets many it knows less of: reweighted reference rows do as badly."""
    made = World(world(tmp_path).settings, seed=11)
    made.live(range(14), Weather(units=400))
    made.live(range(14, 21), Weather(units=400, shift=1.6))
    [cause] = [each for each in made.look(20)[1] if each.metric == CAUSE]
    assert Cause.DATA == cause.reason


def test_a_regression_has_metrics_of_its_own_and_no_estimates(tmp_path):
    """Errors three times as large are an alarm; nothing is expected before labels are in."""
    made = World(world(tmp_path).settings, contract=SPEND)
    made.live(range(15))
    made.live([15], Weather(flipped=1.0))
    _, healthy = made.look(14)
    run, measured = made.look(15)
    [error] = of(measured, TRAILING, subject="mean_absolute_error")

    assert {"mean_absolute_error", "root_mean_squared_error", "r2"} < {each.metric for each in healthy}
    assert Verdict.ALARM == run.verdict
    assert 2.0 == pytest.approx(error.value, abs=0.4)
    assert not any(each.metric.startswith("expect") for each in measured)


def test_the_wait_is_the_longer_one():
    """The contract's minimum, or the label's own delay."""
    rules = CHURN.monitoring.performance_monitoring

    def wait(days: int) -> timedelta:
        longer = rules.model_copy(update={"label_delay": days * DAY})
        monitoring = CHURN.monitoring.model_copy(update={"performance_monitoring": longer})
        return plan_of(CHURN.model_copy(update={"monitoring": monitoring}), FIRST).wait

    assert (14 * DAY, 20 * DAY) == (wait(7), wait(20))
    with pytest.raises(ContractError, match="performance_monitoring"):
        plan_of(CHURN.model_copy(update={"monitoring": Monitoring()}), FIRST)


def test_alerts_need_a_run(tmp_path: Path):
    """What was not measured is an error, not silence."""
    with pytest.raises(DataError, match="was not measured"):
        alert(world(tmp_path).settings, CHURN, FIRST)
