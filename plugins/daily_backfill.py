"""A schedule whose live runs follow a cron expression, and whose backfill is one run a day."""

from typing import Any

from airflow.plugins_manager import AirflowPlugin
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable
from airflow.timetables.simple import NullTimetable
from airflow.timetables.trigger import CronTriggerTimetable

_MIDNIGHTS = "0 0 * * *"


class DailyBackfillTimetable(Timetable):
    """Live runs by a cron expression, or none at all; a backfill always gets the days of its range.

    What is computed for a day does not depend on the hour it is asked at, so an hourly backfill would do
    everything twenty-four times. Only a backfill, and a DAG with `catchup=True`, asks for the past.

    Args:
        live: cron expression (UTC) of the live runs; None means that nothing runs by itself.
    """

    periodic = True

    def __init__(self, live: str | None) -> None:
        self._expression = live
        self._live = NullTimetable() if live is None else CronTriggerTimetable(live, timezone="UTC")
        self._days = CronTriggerTimetable(_MIDNIGHTS, timezone="UTC")
        self.can_be_scheduled = live is not None
        self.description = f"{self._live.description or 'Nothing by itself'}; a backfill day by day"

    @property
    def summary(self) -> str:
        """What Airflow's pages show."""
        return f"{self._expression or 'no live runs'}, backfill daily"

    def validate(self) -> None:
        """Check the cron expression.

        Raises:
            AirflowTimetableInvalid: it is none.
        """
        self._live.validate()

    def infer_manual_data_interval(self, *, run_after: Any) -> DataInterval:
        """Return the moment itself, as for any cron schedule."""
        return DataInterval.exact(run_after)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the next day for a backfill, the next live slot for the scheduler."""
        asked = self._days if restriction.catchup else self._live
        return asked.next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=restriction
        )

    def serialize(self) -> dict[str, Any]:
        """Return what `deserialize` needs."""
        return {"live": self._expression}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Timetable:
        """Return the timetable as it was."""
        return cls(data["live"])


class DailyBackfillPlugin(AirflowPlugin):
    """Makes the timetable known to the scheduler and the API server."""

    name = "daily_backfill"
    timetables = (DailyBackfillTimetable,)
