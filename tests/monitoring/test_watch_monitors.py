from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.measurements import MeasurementStore
from include.config.settings import Settings
from include.contracts.alerts import AlertKind
from include.contracts.measurements import Monitor, MonitorRun, Verdict
from include.monitoring.watch_monitors import watch_monitors
from tests.adapters.ledger.changes import register, route_to

SERVED = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give settings of a platform with a ledger and the real models, with live schedules."""
    found = Settings(home=tmp_path)
    upgrade(found.ledger_uri)
    return found


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    """Give a ledger in which churn was released."""
    with closing(Ledger(settings.ledger_uri, clock=lambda: SERVED)) as opened:
        register(opened)
        opened.change_route(RouteUpdate(route_to("1.0.0"), 0), actor="olga", reason="first")
        yield opened


def look(settings: Settings, minutes: float, verdict: Verdict = Verdict.OK) -> None:
    """Let the monitor of the objectives look, so many minutes after the release."""
    moment = SERVED + minutes * MINUTE
    run = MonitorRun(
        model="churn",
        monitor=Monitor.OBJECTIVES,
        as_of=moment,
        recorded_at=moment,
        verdict=verdict,
        summary="the log is damaged",
    )
    with closing(MeasurementStore(settings.ledger_uri)) as store:
        store.record(run, [])


def wrong(settings: Settings, ledger: Ledger, minutes: float) -> list[tuple[AlertKind, str]]:
    """Watch so many minutes after the release; returns which alerts are open on the objectives."""
    watch_monitors(settings, SERVED + minutes * MINUTE)
    found = [alert.content for alert in ledger.open_alerts("churn")]
    return [(content.kind, content.subject) for content in found if content.subject == "monitor:objectives"]


def test_silence_alerts_and_ends_by_itself(settings: Settings, ledger: Ledger) -> None:
    """One alert while it is silent, however often it is looked at; none once it looked again."""
    assert [] == wrong(settings, ledger, 9)
    silent = (AlertKind.MONITOR_SILENT, "monitor:objectives")
    assert [silent] == wrong(settings, ledger, 10) == wrong(settings, ledger, 11)
    look(settings, 12)
    assert [] == wrong(settings, ledger, 13)
    assert [silent] == wrong(settings, ledger, 22)


def test_one_that_cannot_judge_is_another_kind(settings: Settings, ledger: Ledger) -> None:
    """It says what the monitor said; when it falls silent too, that is what is told."""
    look(settings, 5, Verdict.BROKEN)
    assert [(AlertKind.MONITOR_BROKEN, "monitor:objectives")] == wrong(settings, ledger, 6)
    (alert,) = ledger.open_alerts("churn")
    assert ("churn_objectives cannot judge: the log is damaged", "/dags/churn_objectives") == (
        alert.content.message,
        alert.content.page,
    )
    assert [(AlertKind.MONITOR_SILENT, "monitor:objectives")] == wrong(settings, ledger, 15)


def test_nothing_is_silent_while_history_is_replayed(settings: Settings, ledger: Ledger) -> None:
    """No DAG has a schedule then; what cannot judge is told all the same."""
    replaying = settings.model_copy(update={"replay": True})
    assert [] == wrong(replaying, ledger, 10_000)
    look(settings, 5, Verdict.BROKEN)
    assert [(AlertKind.MONITOR_BROKEN, "monitor:objectives")] == wrong(replaying, ledger, 10_000)


def test_a_served_model_without_a_readable_contract_is_told_of(
    settings: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    """Nothing watches it, whatever it answers; a retired one needs no watching."""
    empty = settings.model_copy(update={"model_folders": (tmp_path / "nowhere",)})
    (message,) = watch_monitors(empty, SERVED)
    assert "no monitor of churn runs" in message
    ledger.retire_model("churn", actor="olga", reason="replaced")
    assert [] == watch_monitors(empty, SERVED)
    assert () == ledger.open_alerts()
