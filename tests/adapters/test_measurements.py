from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from include.adapters.ledger.engine import open_engine, reading
from include.adapters.ledger.ledger import Ledger
from include.adapters.measurements import MeasurementStore
from include.contracts.errors import LedgerError
from include.contracts.measurements import Measurement, Monitor, MonitorRun, Verdict, worst

DAY = timedelta(days=1)
START = datetime(2017, 10, 1, tzinfo=UTC)


@pytest.fixture
def url(ledger_url: str) -> str:
    """Give the URL of a fresh, migrated ledger, in each database there is code for."""
    return ledger_url


@pytest.fixture
def store(url: str) -> Iterator[MeasurementStore]:
    """Give an empty store."""
    opened = MeasurementStore(url)
    yield opened
    opened.close()


def a_run(day: int = 1, monitor: Monitor = Monitor.FEATURE_DRIFT, model: str = "churn") -> MonitorRun:
    """Return a run that looked from a day after the start."""
    as_of = START + day * DAY
    return MonitorRun(
        model=model,
        monitor=monitor,
        as_of=as_of,
        recorded_at=as_of,
        verdict=Verdict.OK,
        summary="nothing",
        report_uri=None,
    )


def figure(run: MonitorRun, subject: str = "spend", metric: str = "ks", value: float = 0.1) -> Measurement:
    """Return what a run measured over the day before it."""
    return Measurement(
        model=run.model,
        monitor=run.monitor,
        version="1.0.0",
        variant="champion",
        slice="demographics.age=35-44",
        subject=subject,
        metric=metric,
        window_start=run.as_of - DAY,
        window_end=run.as_of,
        value=value,
        low=0.0,
        high=0.5,
        n=1_000,
        verdict=Verdict.OK,
        reason="no_drift",
        details={"p_value": 0.2, "bins": [1, 2]},
    )


def test_what_is_recorded_is_read_back(store: MeasurementStore) -> None:
    """A run and its measurements come back as they went in, details too."""
    run = a_run()
    told = [figure(run), figure(run, "age", "psi")]
    store.record(run, told)
    assert run == store.last_run("churn", Monitor.FEATURE_DRIFT)
    assert tuple(told) == store.measurements("churn", monitor=Monitor.FEATURE_DRIFT) == store.measured(run)


def test_the_same_moment_is_replaced_whole(store: MeasurementStore) -> None:
    """A task that runs twice leaves one run, with the measurements of the second."""
    run = a_run()
    store.record(run, [figure(run), figure(run, "age")])
    again = run.model_copy(update={"verdict": Verdict.ALARM})
    store.record(again, [figure(run, value=0.9)])
    assert (again,) == store.runs("churn")
    assert [0.9] == [each.value for each in store.measurements("churn")]


def test_measurements_are_narrowed(store: MeasurementStore) -> None:
    """By monitor, metric, subject, model, and by the windows' ends in (start, end]."""
    for day in range(1, 5):
        run = a_run(day)
        store.record(run, [figure(run), figure(run, "age", "psi"), figure(run, "spend", "missing_ratio")])
    other = a_run(2, Monitor.PREDICTION_DRIFT)
    store.record(other, [figure(other, "score", "chi_squared")])
    assert 13 == len(store.measurements("churn"))
    assert () == store.measurements("spend")
    found = store.measurements("churn", monitor=Monitor.FEATURE_DRIFT, metric="ks", subject="spend")
    assert [START + day * DAY for day in range(1, 5)] == [each.window_end for each in found]
    days_2_and_3 = store.measurements("churn", subject="age", start=START + DAY, end=START + 3 * DAY)
    assert [START + 2 * DAY, START + 3 * DAY] == [each.window_end for each in days_2_and_3]


def test_runs_come_latest_first(store: MeasurementStore) -> None:
    """By the moment they looked from, not by when they were recorded; a replay may come later."""
    for day in (3, 1, 2):
        store.record(a_run(day), [])
    assert [3, 2] == [(run.as_of - START).days for run in store.runs("churn", limit=2)]
    assert [1] == [(run.as_of - START).days for run in store.runs("churn", before=START + 2 * DAY)]
    assert store.last_run("churn", Monitor.PERFORMANCE) is None


def test_every_monitors_last_run_is_found_at_once(store: MeasurementStore) -> None:
    """Of each that ever looked at the model, and of no other model."""
    for monitor, day in ((Monitor.FEATURE_DRIFT, 3), (Monitor.FEATURE_DRIFT, 2), (Monitor.PERFORMANCE, 1)):
        store.record(a_run(day, monitor), [])
    store.record(a_run(9, Monitor.OBJECTIVES, "spend"), [])
    asked = (Monitor.FEATURE_DRIFT, Monitor.PERFORMANCE)
    assert {each: store.last_run("churn", each) for each in asked} == store.last_runs("churn")


def test_a_measurement_of_another_run_is_refused(store: MeasurementStore) -> None:
    """Nothing is stored where one measurement is of another monitor."""
    run = a_run()
    with pytest.raises(ValueError, match="is not of the run churn/feature_drift"):
        store.record(run, [figure(a_run(monitor=Monitor.PERFORMANCE))])
    assert () == store.runs("churn")


def test_measurements_are_no_part_of_the_chain(url: str, store: MeasurementStore) -> None:
    """The ledger verifies beside them."""
    run = a_run()
    store.record(run, [figure(run)])
    ledger = Ledger(url)
    assert 0 == ledger.verify()
    ledger.close()


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_a_trend_is_found_by_its_index(url: str) -> None:
    """One feature's figure over a span of time is no scan: twenty models a year stay quick."""
    engine = open_engine(url)
    with reading(engine) as connection:
        plan = connection.execute(
            text(
                "EXPLAIN QUERY PLAN SELECT value FROM measurements WHERE model = 'churn' AND monitor IN "
                "('feature_drift') AND metric = 'ks' AND subject = 'spend' AND window_end > '2017' "
                "ORDER BY window_end"
            )
        ).fetchall()
    engine.dispose()
    assert "ix_measurements_trend" in str(plan)


def test_an_absent_store_is_told_of(tmp_path: Path) -> None:
    """Without the ledger's tables the error says what to do."""
    store = MeasurementStore(f"sqlite:///{tmp_path / 'none.sqlite3'}")
    with pytest.raises(LedgerError, match=r"none\.sqlite3 cannot be used.*migrated"):
        store.runs("churn")
    store.close()


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((), Verdict.NO_DATA),
        ((Verdict.NO_DATA, Verdict.TOO_FEW), Verdict.TOO_FEW),
        ((Verdict.OK, Verdict.TOO_FEW, Verdict.NO_DATA), Verdict.OK),
        ((Verdict.OK, Verdict.WARNING), Verdict.WARNING),
        ((Verdict.ALARM, Verdict.WARNING), Verdict.ALARM),
        ((Verdict.ALARM, Verdict.BROKEN), Verdict.BROKEN),
    ],
)
def test_a_run_is_as_bad_as_its_worst_figure(verdicts: tuple[Verdict, ...], expected: Verdict) -> None:
    """A monitor that could not judge all it watches is red before anything else."""
    assert expected == worst(verdicts)


def test_sums_over_windows(store: MeasurementStore) -> None:
    """Added up by the database: rows, and values times their rows; what has no value counts nothing."""
    for day, value in ((1, 0.1), (2, 0.3), (3, 0.9)):
        store.record(a_run(day), [figure(a_run(day), value=value), figure(a_run(day), "other", value=0.5)])
    found = store.pooled("churn", Monitor.FEATURE_DRIFT, "ks", "spend", start=START, end=START + 2 * DAY)
    rows = figure(a_run(1)).n
    assert (2 * rows, pytest.approx(0.4 * rows)) == (found.n, found.weighted)
    nothing = store.pooled("churn", Monitor.OBJECTIVES, "ks", "spend", start=START, end=START + DAY)
    assert (0, 0.0) == (nothing.n, nothing.weighted)


def test_old_runs_are_thinned_to_the_last_of_each_day(store: MeasurementStore) -> None:
    """With their measurements; runs of other monitors and later ones stay."""
    moments = [a_run(1).as_of + timedelta(hours=hours) for hours in (0, 6, 12, 30, 60)]
    for moment in moments:
        run = a_run().model_copy(update={"as_of": moment})
        store.record(run, [figure(run)])
    store.record(a_run(1, Monitor.PERFORMANCE), [])
    assert 2 == store.thin("churn", Monitor.FEATURE_DRIFT, moments[-1])
    assert moments[:1:-1] == [run.as_of for run in store.runs("churn", monitor=Monitor.FEATURE_DRIFT)]
    assert 3 == len(store.measurements("churn", monitor=Monitor.FEATURE_DRIFT))
    assert store.last_run("churn", Monitor.PERFORMANCE) is not None
    assert store.run("churn", Monitor.FEATURE_DRIFT, moments[0]) is None
