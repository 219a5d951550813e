from datetime import UTC, datetime, timedelta

import pytest

from include.contracts.measurements import Monitor, MonitorRun, Verdict
from include.contracts.monitor_health import (
    Health,
    Watched,
    blockers,
    judge_health,
    periods_after,
    watched_monitors,
)
from include.contracts.monitoring import Monitoring

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def run_at(moment: datetime, verdict: Verdict = Verdict.OK) -> MonitorRun:
    """Return a run that looked at a moment."""
    return MonitorRun(
        model="churn",
        monitor=Monitor.FEATURE_DRIFT,
        as_of=moment,
        recorded_at=moment,
        verdict=verdict,
        summary="all well",
    )


@pytest.mark.parametrize(
    ("schedule", "after"),
    [
        ("every 6 hours", 12 * HOUR),
        ("hourly", 2 * HOUR),
        ("every hour", 2 * HOUR),
        ("daily", 2 * DAY),
        ("weekly", 14 * DAY),
        ("*/5 * * * *", timedelta(minutes=10)),
        ("0 12 * * *", 2 * DAY),
    ],
)
def test_two_periods(schedule, after):
    """Phrases and cron expressions of the same period give the same time."""
    assert NOW + after == periods_after(schedule, NOW)


def test_periods_are_counted_along_a_cron_expression():
    """Friday's run of what runs on weekdays is followed by Monday's and Tuesday's."""
    friday = datetime(2026, 3, 6, 4, 0, 20, tzinfo=UTC)
    assert datetime(2026, 3, 10, 4, 0, 20, tzinfo=UTC) == periods_after("0 4 * * 1-5", friday)


@pytest.mark.parametrize(
    ("last", "since", "health"),
    [
        (run_at(NOW - 11 * HOUR), NOW - 30 * DAY, Health.WELL),
        (run_at(NOW - 12 * HOUR), NOW - 30 * DAY, Health.SILENT),
        (run_at(NOW - 11 * HOUR, Verdict.NO_DATA), NOW - 30 * DAY, Health.WELL),
        (run_at(NOW - 11 * HOUR, Verdict.BROKEN), NOW - 30 * DAY, Health.BROKEN),
        (run_at(NOW - 12 * HOUR, Verdict.BROKEN), NOW - 30 * DAY, Health.SILENT),
        (None, NOW - 11 * HOUR, Health.NOT_DUE),
        (None, NOW - 12 * HOUR, Health.SILENT),
    ],
)
def test_health(last, since, health):
    """Silence counts from the last run, or from when the model was first served."""
    watched = Watched(Monitor.FEATURE_DRIFT, "every 6 hours")
    found = judge_health(watched, last, since, NOW)
    assert health is found.health
    assert (health in {Health.SILENT, Health.BROKEN}) is bool(blockers([found]))


def test_what_has_no_schedule_is_never_silent():
    """In a replay nothing runs by itself; a broken monitor still is."""
    (objectives,) = watched_monitors(Monitoring(), replay=True)
    assert Health.NOT_DUE is judge_health(objectives, None, NOW - 99 * DAY, NOW).health
    assert Health.WELL is judge_health(objectives, run_at(NOW - 99 * DAY), NOW - 99 * DAY, NOW).health
    broken = judge_health(objectives, run_at(NOW, Verdict.BROKEN), NOW, NOW)
    assert (broken,) == blockers([broken])


def test_a_contract_says_what_is_watched():
    """The parts of its block that are there, with their schedules, and the objectives."""
    monitoring = Monitoring.model_validate(
        {
            "feature_drift": {"schedule": "every 6 hours"},
            "performance_monitoring": {
                "schedule": "daily",
                "label_delay": "7d",
                "metrics": ["accuracy"],
                "alert_on": "10% degradation vs trailing 30-day average",
            },
        }
    )
    found = {each.monitor: each.schedule for each in watched_monitors(monitoring)}
    assert {
        Monitor.FEATURE_DRIFT: "every 6 hours",
        Monitor.PERFORMANCE: "daily",
        Monitor.OBJECTIVES: "*/5 * * * *",
    } == found
