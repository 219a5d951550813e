from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow
import pytest

from include.adapters.labelled_store import SCHEMA, LabelledStore, midnight
from include.contracts.errors import ContractError
from include.contracts.labelled import LabelledDay
from include.contracts.measurements import Measurement, Monitor, MonitorRun, Verdict
from include.contracts.predictions import Status
from include.monitoring.drift_alerts import announce_run
from include.monitoring.labelled_calibration import labelled_window
from include.monitoring.prediction_drift import watch_predictions
from tests.monitoring.world import AS_OF, DAY, WALL, World

DISTRIBUTION = {"name": "prediction_distribution", "method": "chi_squared", "window": "24h"}
CALIBRATION = {"name": "confidence_calibration", "method": "expected_calibration_error", "window": "7d"}
WEEK = 7 * DAY


def contract(world: World, *metrics: dict):
    """Return the contract with the monitor of scores."""
    return world.contract(prediction_drift={"schedule": "every 1 hour", "metrics": list(metrics)})


def look(
    world: World, as_of: datetime = AS_OF, *metrics: dict
) -> tuple[MonitorRun, dict[tuple[str, str], Measurement]]:
    """Let the monitor look; return its run, and its measurements by variant and metric."""
    run = watch_predictions(world.settings, contract(world, *(metrics or (DISTRIBUTION,))), as_of, WALL)
    with world.store() as store:
        return run, {(each.variant or "", each.metric): each for each in store.measured(run)}


def scored(world: World, rows: int = 600, factor: float = 1.0, seed: int = 7) -> pd.DataFrame:
    """Return rows with the scores the test graph gives: the sum of their numbers, times a factor."""
    asked = world.asked(rows, seed)
    names = [name for name in asked if name.endswith(("_30d", "_purchase"))]
    return asked.assign(score=asked[names].sum(axis=1, skipna=False).fillna(5.0) * factor)


def test_scores_like_those_of_the_test_rows_are_quiet(served):
    """Against the version's own unseen rows and against a week ago."""
    served.log(scored(served))
    served.log(scored(served, seed=8), AS_OF - DAY - WEEK)
    run, found = look(served)
    assert (Verdict.OK, "nothing drifted; 600 rows") == (run.verdict, run.summary)
    metrics = {"rows", "chi_squared", "positive_ratio", "chi_squared_week_ago", "positive_ratio_week_ago"}
    assert {("champion", name) for name in metrics} == set(found)
    assert {"1.0.0"} == {each.version for each in found.values()}
    assert 10 == len(found["champion", "chi_squared"].details["shares"])


def test_scores_that_jump_this_week_alarm(served):
    """They differ from the reference and from a week ago."""
    served.log(scored(served, factor=3.0))
    served.log(scored(served, seed=8), AS_OF - DAY - WEEK)
    run, found = look(served)
    jumped = found["champion", "chi_squared"]
    assert (Verdict.ALARM, "shifted_far") == (jumped.verdict, jumped.reason)
    assert Verdict.ALARM == run.verdict
    assert found["champion", "chi_squared_week_ago"].verdict is Verdict.ALARM


def test_a_season_is_told_and_nobody_is_called(served):
    """As far from the reference as the same day a week ago: info, as every week."""
    served.log(scored(served, factor=3.0))
    served.log(scored(served, factor=3.0, seed=8), AS_OF - DAY - WEEK)
    _, found = look(served)
    season = found["champion", "chi_squared"]
    assert (Verdict.WARNING, "as_a_week_ago", "info") == (
        season.verdict,
        season.reason,
        season.details["severity"],
    )


def test_what_lasts_is_no_season(served):
    """A shift of more than two windows stays an alarm when the week before it is full of it, too."""
    for day in range(-8, 3):
        served.log(scored(served, factor=3.0, seed=50 + day), AS_OF + (day - 1) * DAY)
    for day in range(3):
        _, found = look(served, AS_OF + day * DAY)
    lasting = found["champion", "chi_squared"]
    assert (Verdict.ALARM, "lasting", "ok") == (
        lasting.verdict,
        lasting.reason,
        found["champion", "chi_squared_week_ago"].verdict.value,
    )


def test_a_week_ago_alone_is_nothing(served):
    """Last week was unusual, today is as trained."""
    served.log(scored(served))
    served.log(scored(served, factor=3.0, seed=8), AS_OF - DAY - WEEK)
    run, found = look(served)
    assert Verdict.OK == run.verdict
    assert "within_reference" == found["champion", "chi_squared_week_ago"].reason


def test_each_variant_is_watched_alone(served):
    """The challenger's scores jump, the champion's do not; each is held against its own version."""
    served.release("two", factor=1.01)
    served.log(scored(served))
    served.log(scored(served, factor=3.0, seed=9), assigned_variant="challenger", served_version="1.0.1")
    _, found = look(served)
    assert Verdict.OK == found["champion", "chi_squared"].verdict
    assert ("1.0.1", Verdict.ALARM) == (
        found["challenger", "chi_squared"].version,
        found["challenger", "chi_squared"].verdict,
    )
    announce_run(served.settings, "churn", Monitor.PREDICTION_DRIFT, AS_OF)
    with served.ledger() as ledger:
        [alert] = ledger.open_alerts("churn")
    assert ("score:challenger", "/dags/churn_prediction_drift") == (alert.content.subject, alert.content.page)


def test_fallbacks_are_nobodys_scores(served):
    """Default scores and another version's answers are not what this version says."""
    served.log(scored(served))
    served.log(scored(served, factor=9.0, seed=9), status=Status.FALLBACK)
    run, _ = look(served)
    assert "nothing drifted; 600 rows" == run.summary


def test_an_empty_window_and_too_few_units_say_so(served, place):
    """Neither is "no drift"."""
    run, _ = look(served)
    assert (Verdict.NO_DATA, "no data; 0 rows") == (run.verdict, run.summary)
    served.log(pd.concat([scored(served, 20)] * 30))
    run, found = look(served)
    assert Verdict.TOO_FEW == run.verdict == found["champion", "chi_squared"].verdict


def test_a_version_nobody_knows_is_red(served):
    """Its package is no reference; the others are judged all the same."""
    served.log(scored(served))
    served.log(scored(served, seed=8), assigned_variant="challenger", served_version="9.9.9")
    run, found = look(served)
    assert (Verdict.BROKEN, Verdict.OK) == (run.verdict, found["champion", "chi_squared"].verdict)
    assert "9.9.9" in run.summary


def label(world: World, start: datetime, rows: int, off: float, units: int | None = None) -> None:
    """Put labelled predictions of a day into their store, whose chances are off by a constant."""
    dice = np.random.default_rng(rows)
    scores = dice.uniform(0.2, 0.8, rows)
    value = (dice.random(rows) < scores - off).astype(float)
    table = pyarrow.table(
        {
            "prediction_id": [f"p{place}" for place in range(rows)],
            "unit": [str(place % (units or rows)) for place in range(rows)],
            "predicted_at": [start + timedelta(seconds=place) for place in range(rows)],
            "served_version": ["1.0.0"] * rows,
            "assigned_variant": ["champion"] * rows,
            "outputs": [[score] for score in scores],
            "value": value,
            "known_at": [start + 14 * DAY] * rows,
            "label_version": [1] * rows,
            "label_source": ["label.sql"] * rows,
        },
        schema=SCHEMA,
    )
    state = LabelledDay(
        start=start,
        inputs="x",
        as_of=start + 14 * DAY,
        predictions=rows,
        labelled=rows,
        superseded=0,
        refused={},
    )
    LabelledStore(world.settings, "churn").add(table, state)


@pytest.mark.parametrize(
    ("rows", "off", "units", "expected"),
    [
        (3_000, 0.0, None, (Verdict.OK, "no_shift")),
        (3_000, 0.12, None, (Verdict.WARNING, "shifted")),
        (3_000, 0.20, None, (Verdict.ALARM, "shifted_far")),
        (3_000, 0.20, 30, (Verdict.TOO_FEW, "too_few_rows")),
        (200, 0.20, None, (Verdict.TOO_FEW, "too_few_rows")),
    ],
)
def test_chances_that_do_not_come_true_are_found(served, rows, off, units, expected):
    """Over the days whose labels are known; too few units say so."""
    label(served, midnight((AS_OF - 15 * DAY).date()), rows, off, units)
    _, found = look(served, AS_OF, CALIBRATION)
    error = found["champion", "expected_calibration_error"]
    assert expected == (error.verdict, error.reason)
    assert error.low <= error.value <= error.high
    assert (AS_OF - 21 * DAY, AS_OF - 14 * DAY) == (error.window_start, error.window_end)


def test_without_labels_calibration_is_no_data(served):
    """The scores are watched all the same."""
    served.log(scored(served))
    run, found = look(served, AS_OF, DISTRIBUTION, CALIBRATION)
    assert (Verdict.OK, "no_labels") == (run.verdict, found["", "rows"].reason)


def test_the_longer_wait_counts(served):
    """The label's own delay is fourteen days: seven in the block shorten nothing, thirty lengthen it."""
    for delay, days in (("7d", 14), ("30d", 30)):
        block = {"schedule": "daily", "label_delay": delay, "metrics": ["recall"]}
        alert_on = {"alert_on": "10% degradation vs trailing 30-day average"}
        asked = served.contract(performance_monitoring=block | alert_on)
        assert (AS_OF - (days + 7) * DAY, AS_OF - days * DAY) == labelled_window(asked, AS_OF, WEEK)


def test_a_model_that_asks_for_no_such_monitor_is_told(served):
    """The error names the missing block."""
    with pytest.raises(ContractError, match=r"churn: the contract has no monitoring\.prediction_drift"):
        watch_predictions(served.settings, served.contract(prediction_drift=None), AS_OF, WALL)
