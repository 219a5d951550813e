"""What a backfill asks for, and what runs by itself."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pendulum import parse

from include.config.settings import REPOSITORY_ROOT


@pytest.fixture
def daily_backfill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Give the plugin, imported as Airflow does."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.syspath_prepend(str(REPOSITORY_ROOT / "plugins"))
    yield import_module("daily_backfill")
    sys.modules.pop("daily_backfill", None)


def slots(timetable: Any, first: str, last: str, *, catchup: bool) -> list[datetime]:
    """Return the logical dates a timetable gives, one after another, as Airflow asks for them."""
    module = sys.modules[type(timetable).__module__]
    restriction = module.TimeRestriction(parse(first), parse(last), catchup)
    found: list[datetime] = []
    info = None
    while info := timetable.next_dagrun_info(
        last_automated_data_interval=info and info.data_interval, restriction=restriction
    ):
        found.append(info.logical_date)
    return found


@pytest.mark.parametrize("live", ["0 * * * *", None])
def test_a_backfill_is_one_run_a_day(daily_backfill: ModuleType, live: str | None) -> None:
    """Ten days are ten runs at midnight, with live runs every hour and without any; none is cut off."""
    timetable = daily_backfill.DailyBackfillTimetable(live)
    stored = daily_backfill.DailyBackfillTimetable.deserialize(timetable.serialize())
    days = [datetime(2017, 6, 1, tzinfo=UTC) + timedelta(days=offset) for offset in range(10)]
    assert days == slots(stored, "2017-06-01", "2017-06-10", catchup=True)
    assert stored.periodic, "Airflow refuses to backfill what is not"


def test_nothing_runs_by_itself_in_a_replay(daily_backfill: ModuleType) -> None:
    """Without a live schedule the scheduler gets no slot, not even the latest."""
    replaying = daily_backfill.DailyBackfillTimetable(None)
    assert [] == slots(replaying, "2017-01-01", "2100-01-01", catchup=False)
    assert not replaying.can_be_scheduled


def test_live_runs_follow_the_cron_expression(daily_backfill: ModuleType) -> None:
    """The scheduler gets hours, the latest first; a backfill's days do not become live runs."""
    timetable = daily_backfill.DailyBackfillTimetable("0 * * * *")
    restriction = daily_backfill.TimeRestriction(None, None, catchup=False)
    first = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    second = timetable.next_dagrun_info(
        last_automated_data_interval=first.data_interval, restriction=restriction
    )
    assert timedelta(hours=1) == second.logical_date - first.logical_date
