"""Whether monitors look: one that is silent for two of its periods, or cannot judge, is no evidence."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from croniter import croniter

from include.contracts.measurements import Monitor, MonitorRun, Verdict
from include.contracts.monitoring import Monitoring
from include.contracts.schedules import cron_of

OBJECTIVES_SCHEDULE = "*/5 * * * *"
"""When the objectives of every model are looked at: as often as the shortest window of its alerts."""

PERIODS = 2
"""A monitor that missed so many of its runs is silent."""


class Health(StrEnum):
    """What can be said about a monitor."""

    WELL = "well"
    """It looked when it was to, and could judge or say why not."""
    NOT_DUE = "not_due"
    """It never looked, and need not have."""
    SILENT = "silent"
    """It did not look for two of its periods."""
    BROKEN = "broken"
    """It looked and could not judge, such as by a reference that no longer fits."""

    @property
    def blocks_promotion(self) -> bool:
        """Whether a release waits until it is mended: a dead monitor is missing evidence."""
        return self in {Health.SILENT, Health.BROKEN}


@dataclass(frozen=True)
class Watched:
    """A monitor of a model, and when it is to look."""

    monitor: Monitor
    schedule: str | None
    """Phrase or cron, UTC; None where nothing runs by itself: then it cannot be silent."""


@dataclass(frozen=True)
class MonitorHealth:
    """How a monitor is, with the figures behind it."""

    monitor: Monitor
    health: Health
    schedule: str | None
    last_run_at: datetime | None
    """When it last looked, wall time."""
    silent_from: datetime | None
    """When it counts as silent unless it looks; None where it cannot be silent."""
    summary: str | None
    """What it said when it last looked."""


def watched_monitors(monitoring: Monitoring, *, replay: bool = False) -> tuple[Watched, ...]:
    """Return the monitors a contract asks for, and the objectives, which every model has.

    Args:
        monitoring: the contract's block.
        replay: history is replayed: no DAG has a schedule.
    """
    asked = {
        Monitor.FEATURE_DRIFT: monitoring.feature_drift,
        Monitor.PREDICTION_DRIFT: monitoring.prediction_drift,
        Monitor.PERFORMANCE: monitoring.performance_monitoring,
    }
    schedules = {monitor: part.schedule for monitor, part in asked.items() if part is not None}
    schedules[Monitor.OBJECTIVES] = OBJECTIVES_SCHEDULE
    return tuple(Watched(monitor, None if replay else text) for monitor, text in schedules.items())


def judge_health(watched: Watched, last: MonitorRun | None, since: datetime, now: datetime) -> MonitorHealth:
    """Say how a monitor is.

    Args:
        watched: what is to look, and when.
        last: its last run; None where it never ran.
        since: from when on it was to look: when the model was first served.
        now: wall time, as the run's `recorded_at` is.
    """
    silent_from = watched.schedule and periods_after(watched.schedule, last.recorded_at if last else since)
    if silent_from and now >= silent_from:
        health = Health.SILENT
    elif last is None:
        health = Health.NOT_DUE
    else:
        health = Health.BROKEN if last.verdict is Verdict.BROKEN else Health.WELL
    return MonitorHealth(
        watched.monitor,
        health,
        watched.schedule,
        last.recorded_at if last else None,
        silent_from or None,
        last.summary if last else None,
    )


def blockers(found: Iterable[MonitorHealth]) -> tuple[MonitorHealth, ...]:
    """Return the monitors for whose sake nothing is promoted."""
    return tuple(each for each in found if each.health.blocks_promotion)


def periods_after(schedule: str, moment: datetime, periods: int = PERIODS) -> datetime:
    """Return when so many periods of a schedule have gone by since a moment.

    They are counted along it: what runs on weekdays is not silent on Sunday.
    """
    cron = cron_of(schedule)
    runs = croniter(cron, moment)
    fell_due: datetime = croniter(cron, moment + timedelta(seconds=1)).get_prev(datetime)
    ahead: datetime = [runs.get_next(datetime) for _ in range(periods)][-1]
    return moment + (ahead - fell_due)
