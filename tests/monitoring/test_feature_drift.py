import json

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from include.contracts.errors import ContractError, LedgerError
from include.contracts.measurements import Measurement, Monitor, MonitorRun, Verdict
from include.contracts.predictions import Status
from include.monitoring.drift_alerts import announce_run
from include.monitoring.feature_drift import watch_features
from tests.monitoring.world import AS_OF, DAY, WALL, World

SPEND = "total_spend_30d"


def look(world: World, as_of=AS_OF, settings=None, **drift: object) -> tuple[MonitorRun, list[Measurement]]:
    """Let the monitor look, and return its run with what it measured."""
    block = {"schedule": "every 6 hours"} | drift
    contract = world.contract(feature_drift=block)
    run = watch_features(settings or world.settings, contract, as_of, WALL)
    with world.store() as store:
        return run, list(store.measured(run))


def found(measured: list[Measurement], subject: str, metric: str) -> Measurement:
    """Return one figure."""
    [figure] = [each for each in measured if (each.subject, each.metric) == (subject, metric)]
    return figure


def test_a_day_like_the_training_set_is_quiet(served):
    """Every figure is stored, none alarms, and the run says how much it looked at."""
    served.log(served.asked())
    run, measured = look(served)
    assert (Verdict.OK, "nothing drifted; 400 rows") == (run.verdict, run.summary)
    assert {"ok"} == {each.verdict.value for each in measured}
    assert ("1.0.0", AS_OF - DAY, AS_OF) == (
        measured[0].version,
        measured[0].window_start,
        measured[0].window_end,
    )
    subjects = {(each.subject, each.metric) for each in measured}
    assert {(SPEND, "ks"), (SPEND, "missing_ratio"), (SPEND, "out_of_range_ratio")} <= subjects
    assert {("preferred_category", "psi"), ("preferred_category", "unseen_ratio")} <= subjects
    assert {
        ("view:customer_spending", "stale_ratio"),
        ("inputs", "absent_ratio"),
        ("rows", "rows"),
    } <= subjects


def test_spend_in_cents_is_found_at_once(served):
    """A unit bug upstream: a large effect on an input that matters alarms in the first window."""
    served.log(served.asked().assign(**{SPEND: lambda rows: rows[SPEND] * 100}))
    run, measured = look(served)
    shifted = found(measured, SPEND, "ks")
    assert (Verdict.ALARM, "shifted_far", "error") == (
        shifted.verdict,
        shifted.reason,
        shifted.details["severity"],
    )
    assert shifted.value > 0.8
    assert shifted.details["adjusted_p_value"] < 1e-10
    assert Verdict.ALARM == run.verdict
    assert run.summary.startswith(f"1 drifted: {SPEND} (ks ")


def test_a_renamed_category_is_found_twice(served):
    """By the index, and by name among the unseen; no alarm, since this model's scores do not hang on it."""
    served.log(served.asked().replace({"preferred_category": {"MEAT": "MEAT-PCKGD"}}))
    _, measured = look(served)
    unseen = found(measured, "preferred_category", "unseen_ratio")
    assert (Verdict.WARNING, "shifted_far", ["MEAT-PCKGD"], 0.0) == (
        unseen.verdict,
        unseen.reason,
        unseen.details["categories"],
        unseen.details["importance"],
    )
    assert unseen.low < unseen.value < unseen.high
    assert Verdict.WARNING == found(measured, "preferred_category", "psi").verdict


def test_missing_values_and_values_out_of_range_are_found(served):
    """A third missing, a tenth below what the contract allows."""
    rows = served.asked()
    rows.loc[rows.index[::3], SPEND] = None
    rows.loc[rows.index[::10], "avg_order_value_30d"] = -1.0
    served.log(rows)
    _, measured = look(served)
    assert Verdict.ALARM == found(measured, SPEND, "missing_ratio").verdict
    below = found(measured, "avg_order_value_30d", "out_of_range_ratio")
    assert (Verdict.ALARM, 0.1, 0.0) == (below.verdict, below.value, below.details["minimum"])


def test_infinite_values_are_out_of_range(served):
    """A log may hold them; the monitor looks on."""
    served.log(served.asked().assign(avg_order_value_30d=float("inf")))
    run, measured = look(served)
    outside = found(measured, "avg_order_value_30d", "out_of_range_ratio")
    assert (Verdict.ALARM, Verdict.ALARM, 1.0) == (run.verdict, outside.verdict, outside.value)


def test_stale_values_are_found(served):
    """Older than the view's time to live when they were served, for a quarter of the requests."""
    served.log(served.asked(300))
    old = {"customer_spending": AS_OF - 90 * DAY}
    served.log(served.asked(100, seed=8), feature_timestamps=old)
    _, measured = look(served)
    stale = found(measured, "view:customer_spending", "stale_ratio")
    assert (Verdict.ALARM, 0.25) == (stale.verdict, stale.value)
    assert stale.details["age_seconds"]["p95"] > 80 * 86_400


def test_requests_without_any_input_are_found(served):
    """They are no rows of missing values, and where there are no others, that is not "no drift"."""
    served.log(served.asked(300))
    served.log(served.asked(100, seed=9), status=Status.REFUSED)
    _, measured = look(served)
    assert 0.25 == found(measured, "inputs", "absent_ratio").value
    assert Verdict.OK == found(measured, SPEND, "missing_ratio").verdict
    assert Verdict.ALARM == found(measured, "inputs", "absent_ratio").verdict


def test_only_requests_without_input_alarm(served):
    """The feature store was away all day."""
    served.log(served.asked(300), status=Status.REFUSED)
    run, measured = look(served)
    assert Verdict.ALARM == run.verdict
    assert ["rows", "inputs"] == [each.subject for each in measured]


def test_an_empty_window_is_no_data(served):
    """Never "no drift", and never a crash."""
    run, measured = look(served)
    assert (Verdict.NO_DATA, "no data; 0 rows") == (run.verdict, run.summary)
    assert ["no_rows"] == [each.reason for each in measured]


def test_without_a_champion_there_is_nothing_to_watch(place):
    """A model that serves nothing yet."""
    run, measured = look(place)
    assert (Verdict.NO_DATA, ["no_champion"]) == (run.verdict, [each.reason for each in measured])


def test_too_few_units_say_so(served):
    """Five hundred requests of ten customers are ten witnesses; figures are there, no verdict on them."""
    ten = served.asked(10)
    served.log(pd.concat([ten] * 50, ignore_index=True))
    run, measured = look(served)
    assert (Verdict.TOO_FEW, "too few rows to judge; 500 rows") == (run.verdict, run.summary)
    distance = found(measured, SPEND, "ks")
    assert (Verdict.TOO_FEW, "too_few_rows", 10.0) == (
        distance.verdict,
        distance.reason,
        round(distance.details["independent_rows"], 6),
    )
    assert distance.value is not None


def test_a_shift_that_lasts_gets_worse(served):
    """Moderate at first; after three windows it is there to stay. Looking again changes nothing."""
    for day in range(4):
        served.log(
            served.asked(800, seed=20 + day).assign(**{SPEND: lambda rows: rows[SPEND] * 1.4}),
            AS_OF + (day - 1) * DAY,
        )
    verdicts = []
    for day in (0, 1, 1, 2, 3):
        _, measured = look(served, AS_OF + day * DAY)
        shifted = found(measured, SPEND, "ks")
        verdicts.append((shifted.reason, shifted.details["windows"], shifted.verdict.value))
    assert [
        ("shifted", 1, "warning"),
        ("shifted", 2, "warning"),
        ("shifted", 2, "warning"),
        ("lasting", 3, "alarm"),
        ("lasting", 4, "alarm"),
    ] == verdicts


def test_a_tiny_shift_of_many_rows_is_no_drift(served):
    """Sure, and too small to matter."""
    served.log(served.asked(6_000).assign(**{SPEND: lambda rows: rows[SPEND] * 1.18}))
    _, measured = look(served)
    shifted = found(measured, SPEND, "ks")
    assert shifted.details["adjusted_p_value"] < 0.001
    assert (Verdict.OK, "below_effect_floor") == (shifted.verdict, shifted.reason)


def test_a_dataset_of_the_teams_own_is_the_reference(served, tmp_path):
    """By its URI, where the setting says its prefix lies; its rows repeat no unit."""
    other = served.asked(2_000, seed=99).assign(**{SPEND: lambda rows: rows[SPEND] * 100})
    (tmp_path / "data").mkdir()
    other.drop(columns="unit").to_parquet(tmp_path / "data" / "v3.parquet")
    served.log(served.asked())
    settings = served.settings.model_copy(
        update={"reference_datasets": {"s3://ml-artifacts/training-data/": f"{tmp_path}/data/"}}
    )
    run, measured = look(
        served, settings=settings, reference_dataset="s3://ml-artifacts/training-data/v3.parquet"
    )
    assert Verdict.ALARM == run.verdict == found(measured, SPEND, "ks").verdict


@pytest.mark.parametrize(
    ("change", "reason", "told"),
    [
        (lambda rows: rows.drop(columns=SPEND), "reference_mismatch", f"'{SPEND}' has no such column"),
        (
            lambda rows: rows.assign(preferred_category=1.0),
            "reference_mismatch",
            "'preferred_category' has double, the model reads it as categorical",
        ),
        (
            lambda rows: rows.head(150),
            "reference_too_small",
            "is worth 150 independent rows of the 200 needed",
        ),
    ],
)
def test_a_reference_that_does_not_fit_is_red(served, tmp_path, change, reason, told):
    """Broken, saying what is wrong: neither silent nor "no drift"."""
    change(served.asked(300).drop(columns="unit")).to_parquet(tmp_path / "r.parquet")
    served.log(served.asked())
    settings = served.settings.model_copy(update={"reference_datasets": {"s3://": f"{tmp_path}/"}})
    run, [figure] = look(served, settings=settings, reference_dataset="s3://r.parquet")
    assert (Verdict.BROKEN, reason) == (run.verdict, figure.reason)
    assert told in run.summary


@pytest.mark.parametrize("damage", ["gone", "altered"])
def test_a_training_set_that_is_gone_or_altered_is_red(served, damage):
    """The champion's own snapshot is proven by its hash at every look."""
    [snapshot] = (served.settings.artefacts_folder / "snapshots").rglob("*.parquet")
    if damage == "gone":
        snapshot.unlink()
    else:
        table = pyarrow.parquet.read_table(snapshot)
        pyarrow.parquet.write_table(table.slice(1), snapshot)
    served.log(served.asked())
    run, [figure] = look(served)
    assert (Verdict.BROKEN, "reference_missing") == (run.verdict, figure.reason)
    assert "snapshots/churn/" in run.summary


def test_a_graph_that_is_gone_keeps_nobody_from_looking(served):
    """What inputs move is unknown then, and each counts as one that matters."""
    [graph] = (served.settings.artefacts_folder / "packages").rglob("model.onnx")
    graph.unlink()
    served.log(served.asked().replace({"preferred_category": {"MEAT": "MEAT-PCKGD"}}))
    _, measured = look(served)
    unseen = found(measured, "preferred_category", "unseen_ratio")
    assert (Verdict.ALARM, None) == (unseen.verdict, unseen.details["importance"])


def test_importance_is_computed_once_a_version(served):
    """The numbers count for what they move; shares add up to one and lie beside the reports."""
    served.log(served.asked())
    look(served)
    [path] = (served.settings.artefacts_folder / "monitoring" / "churn" / "importance").glob("*.json")
    shares = json.loads(path.read_text())
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares[SPEND] > shares["days_since_last_purchase"]
    before = path.stat().st_mtime_ns
    look(served)
    assert before == path.stat().st_mtime_ns


def test_a_model_that_asks_for_no_such_monitor_is_told(served):
    """The error names the missing block."""
    with pytest.raises(ContractError, match=r"churn: the contract has no monitoring\.feature_drift"):
        watch_features(served.settings, served.contract(feature_drift=None), AS_OF, WALL)


def test_an_input_that_shifted_has_an_alert_until_it_is_back(served):
    """Opened once, worse when it lasts, kept through a day without data, and closed by a quiet day."""
    for day in range(3):
        served.log(
            served.asked(800, seed=20 + day).assign(**{SPEND: lambda rows: rows[SPEND] * 1.4}),
            AS_OF + (day - 1) * DAY,
        )
    served.log(served.asked(800, seed=40), AS_OF + 3 * DAY)
    told = []
    for day in range(5):
        look(served, AS_OF + day * DAY)
        announce_run(served.settings, "churn", Monitor.FEATURE_DRIFT, AS_OF + day * DAY, "page.html")
        with served.ledger() as ledger:
            told.append(
                [(each.content.subject, each.content.severity.value) for each in ledger.open_alerts("churn")]
            )
    assert [[(SPEND, "warning")], [(SPEND, "warning")], [(SPEND, "error")], [(SPEND, "error")], []] == told


def test_an_alert_says_what_it_is_about(served):
    """Figures, page and report; no customer."""
    served.log(served.asked().assign(**{SPEND: lambda rows: rows[SPEND] * 100}))
    look(served)
    [line] = announce_run(served.settings, "churn", Monitor.FEATURE_DRIFT, AS_OF, "page.html")
    assert line.startswith(f"churn: {SPEND} drifted: ks 0.")
    with served.ledger() as ledger:
        [alert] = ledger.open_alerts("churn")
    content = alert.content
    assert ("feature_drift", "/dags/churn_feature_drift", "page.html") == (
        content.kind.value,
        content.page,
        content.report_uri,
    )
    assert {"value", "effect", "adjusted_p_value", "windows", "rows", "importance"} <= set(
        content.figures["ks"]
    )


def test_announcing_a_run_that_never_was_is_an_error(served):
    """The moment is named."""
    with pytest.raises(LedgerError, match="churn_feature_drift stored nothing as of 2017-11-10T00:00:00"):
        announce_run(served.settings, "churn", Monitor.FEATURE_DRIFT, AS_OF)
