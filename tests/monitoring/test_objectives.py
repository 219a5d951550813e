"""The objectives' monitor on a real prediction log, ledger and store."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.measurements import MeasurementStore
from include.config.models import model_folder
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.alerts import AlertKind, Severity
from include.contracts.measurements import Monitor, MonitorRun, Verdict
from include.contracts.objectives import Objective
from include.contracts.predictions import PredictionRow, Source, Status
from include.monitoring.compaction import compact_predictions
from include.monitoring.objective_findings import BAD_RATIO
from include.monitoring.objectives import watch_objectives
from include.monitoring.served_requests import SPAN, count_requests, gaps, last_span_end
from include.stats.burn_rates import Requests
from tests.adapters.test_prediction_log import logged, row

NOON = datetime(2017, 11, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CONTRACT = model_folder((REPOSITORY_ROOT / "include" / "models",), "churn").written
LATE = CONTRACT.objectives.latency_p99_ms / 1_000 + 0.01


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """Give settings of a platform with a ledger."""
    found = Settings(home=tmp_path)
    upgrade(found.ledger_uri)
    return found


@pytest.fixture
def ledger(home: Settings) -> Iterator[Ledger]:
    """Give the ledger."""
    with closing(Ledger(home.ledger_uri)) as opened:
        yield opened


@pytest.fixture
def store(home: Settings) -> Iterator[MeasurementStore]:
    """Give the store of measurements."""
    with closing(MeasurementStore(home.ledger_uri)) as opened:
        yield opened


def served(
    home: Settings,
    start: datetime,
    minutes: int,
    *,
    a_minute: int = 10,
    status: Status = Status.OK,
    latency: float = 0.01,
    **changes: object,
) -> list[PredictionRow]:
    """Log requests of some minutes, evenly."""
    rows = [
        row(
            start + MINUTE * number / a_minute,
            status=status,
            outputs=(0.2,) if status in {Status.OK, Status.FALLBACK} else None,
            latency_seconds=latency,
            **changes,
        )
        for number in range(minutes * a_minute)
    ]
    logged(home.predictions_folder, rows)
    return rows


def look(home: Settings, ledger: Ledger, store: MeasurementStore, as_of: datetime) -> MonitorRun:
    """Look from a moment."""
    return watch_objectives(home, ledger, store, CONTRACT, as_of=as_of, recorded_at=as_of)


def totals(store: MeasurementStore) -> dict[Objective, Requests]:
    """Return all that was ever counted."""
    found = dict.fromkeys(Objective, Requests(0, 0))
    for each in store.measurements("churn", monitor=Monitor.OBJECTIVES, metric=BAD_RATIO):
        found[Objective(each.subject)] += Requests(each.n, round((each.value or 0) * each.n))
    return found


def test_requests_are_counted_as_the_contract_means_them(home: Settings) -> None:
    """A fallback is an answer, what failed is none; a refusal for our features is bad, another is not."""
    start = NOON - 5 * MINUTE
    served(home, start, 1)
    served(home, start, 1, status=Status.FALLBACK, latency=LATE)
    served(home, start, 1, status=Status.REFUSED, error="stale-features: older than their TTL: shop")
    served(home, start, 1, status=Status.REFUSED, error="unknown-entity: no feature view has a row")
    served(home, start, 1, status=Status.REFUSED, error="invalid-request: stale-features is no feature")
    served(home, start, 1, status=Status.FAILED, latency=LATE, source=Source.OIP)
    for source in (Source.SHADOW, Source.BATCH, Source.DRILL):
        served(home, start, 1, status=Status.FAILED, source=source)
    served(home, start, 1, model="spend")
    (span,) = count_requests(home, CONTRACT, start, NOON)
    assert {Objective.AVAILABILITY: Requests(40, 20), Objective.LATENCY: Requests(20, 10)} == span.requests


def test_spans_of_nothing_are_joined(home: Settings) -> None:
    """An idle night is one span, not a hundred."""
    served(home, NOON, 5)
    found = count_requests(home, CONTRACT, NOON - 60 * MINUTE, NOON + 30 * MINUTE)
    assert [(-60, 0, 0), (0, 5, 50), (5, 30, 0)] == [
        (
            (each.start - NOON) / MINUTE,
            (each.end - NOON) / MINUTE,
            each.requests[Objective.AVAILABILITY].total,
        )
        for each in found
    ]


def test_a_healthy_service_alerts_nobody(home: Settings, ledger: Ledger, store: MeasurementStore) -> None:
    """Its budget is whole; without any request there is no data, which is no alarm either."""
    assert Verdict.NO_DATA is look(home, ledger, store, NOON).verdict
    served(home, NOON, 60)
    run = look(home, ledger, store, NOON + 65 * MINUTE)
    assert (Verdict.OK, "within budget, 100% left") == (
        run.verdict,
        run.summary.partition("; ")[0].partition(": ")[2],
    )
    assert ledger.open_alerts() == ()


def test_an_outage_alerts_within_minutes_and_ends_by_itself(
    home: Settings, ledger: Ledger, store: MeasurementStore
) -> None:
    """Five minutes of failures after an hour of answers; half an hour later all is well but the budget."""
    served(home, NOON - 61 * MINUTE, 60)
    assert Verdict.OK is look(home, ledger, store, NOON).verdict
    served(home, NOON - MINUTE, 5, status=Status.FAILED)
    assert Verdict.ALARM is look(home, ledger, store, NOON + 5 * MINUTE).verdict
    (alert,) = ledger.open_alerts("churn")
    assert (AlertKind.OBJECTIVE_BURN, "objective:availability", Severity.CRITICAL) == (
        alert.content.kind,
        alert.content.subject,
        alert.content.severity,
    )
    assert "times too fast over 1h" in alert.content.message
    served(home, NOON + 4 * MINUTE, 420)
    run = look(home, ledger, store, NOON + 425 * MINUTE)
    assert (Verdict.WARNING, ()) == (run.verdict, ledger.open_alerts())
    assert "budget spent" in run.summary


def test_slow_answers_burn_the_other_budget(home: Settings, ledger: Ledger, store: MeasurementStore) -> None:
    """Every third answer late is thirty times what the 99th percentile allows."""
    served(home, NOON - 31 * MINUTE, 30, a_minute=7)
    served(home, NOON - 31 * MINUTE, 30, a_minute=3, latency=LATE)
    look(home, ledger, store, NOON)
    (alert,) = ledger.open_alerts("churn")
    assert ("objective:latency", Severity.CRITICAL) == (alert.content.subject, alert.content.severity)


def test_looking_again_changes_nothing(home: Settings, ledger: Ledger, store: MeasurementStore) -> None:
    """The same look, before and after compaction, and one from in between: every request is counted once."""
    served(home, NOON - 121 * MINUTE, 120, status=Status.FAILED)
    look(home, ledger, store, NOON - 60 * MINUTE)
    look(home, ledger, store, NOON)
    assert Requests(1_200, 1_200) == totals(store)[Objective.AVAILABILITY]
    compact_predictions(home, datetime.now(UTC) + 11 * MINUTE)
    look(home, ledger, store, NOON)
    look(home, ledger, store, NOON - 30 * MINUTE)
    assert Requests(1_200, 1_200) == totals(store)[Objective.AVAILABILITY]


def test_a_look_back_alerts_nobody(home: Settings, ledger: Ledger, store: MeasurementStore) -> None:
    """What is told is how things stand at the latest moment that was looked from."""
    served(home, NOON - 61 * MINUTE, 5, status=Status.FAILED)
    look(home, ledger, store, NOON + timedelta(days=4))
    assert Verdict.ALARM is look(home, ledger, store, NOON - 55 * MINUTE).verdict
    assert ledger.open_alerts() == ()


def test_spans_missed_while_airflow_was_away_are_counted(
    home: Settings, ledger: Ledger, store: MeasurementStore
) -> None:
    """Two days later nothing is lost, and nothing is counted twice."""
    look(home, ledger, store, NOON)
    served(home, NOON, 10)
    look(home, ledger, store, NOON + timedelta(days=2))
    look(home, ledger, store, NOON + timedelta(days=2, minutes=5))
    assert Requests(100, 0) == totals(store)[Objective.AVAILABILITY]


def test_old_looks_are_thinned(home: Settings, ledger: Ledger, store: MeasurementStore) -> None:
    """Of days older than the budget's period the last look is kept."""
    for minutes in (0, 5, 10):
        look(home, ledger, store, NOON + minutes * MINUTE)
    look(home, ledger, store, NOON + timedelta(days=36))
    found = [run.as_of for run in store.runs("churn", monitor=Monitor.OBJECTIVES)]
    assert [NOON + timedelta(days=36), NOON + 10 * MINUTE] == found


def test_the_grid_leaves_time_to_write() -> None:
    """A look on the full five minutes sees spans whose end is a minute past."""
    assert NOON - MINUTE == last_span_end(NOON) == last_span_end(NOON + 4 * MINUTE)
    assert NOON + 4 * MINUTE == last_span_end(NOON + 5 * MINUTE)


spans = st.tuples(st.integers(0, 50), st.integers(1, 10)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(st.lists(spans, max_size=8), st.integers(0, 40), st.integers(1, 20))
def test_gaps_are_what_is_not_known(known: list[tuple[int, int]], start: int, length: int) -> None:
    """Minute by minute: in a gap exactly if in no known span."""
    at = lambda minute: NOON + minute * MINUTE  # noqa: E731 - a name for a scale
    found = list(gaps([(at(a), at(b)) for a, b in known], at(start), at(start + length)))
    for minute in range(start, start + length):
        in_gap = sum(first <= at(minute) < last for first, last in found)
        assert in_gap == (not any(a <= minute < b for a, b in known))


def test_a_span_is_the_shortest_window() -> None:
    """Else the shortest window would be a guess."""
    assert timedelta(minutes=5) == SPAN


def test_the_slowest_answers_of_a_span_are_kept(home: Settings) -> None:
    """99 of 100 within it, nearest rank; what was not answered does not count, nor other spans' answers."""
    served(home, NOON, 1, a_minute=97, latency=0.01)
    served(home, NOON, 1, a_minute=3, latency=0.05)
    served(home, NOON, 1, a_minute=5, status=Status.FAILED, latency=9.0)
    served(home, NOON + SPAN, 1, a_minute=1, latency=0.02)
    spans = count_requests(home, CONTRACT, NOON, NOON + 3 * SPAN)
    assert [50.0, 20.0, None] == [span.latency_p99_ms for span in spans]
