"""### Prediction log: from segments to Parquet

`compact`: moves the rows of segments that the gateway and the batches are done with, ten minutes
(`NINETY_REQUEST_WINDOW_SECONDS`) after their last row, to Parquet under
`predictions/compacted/model=<model>/day=<day>/`, or in a bucket (`NINETY_COMPACTED_URL`). Every
reader sees segments and Parquet as one log, each row once, whenever a run is killed; the next run goes on.

Runbook: a damaged segment stays where it is and fails the run by name, after everything else moved. Restore
the file, or move it away and so give up its rows.

`copy_outcomes`: copies sealed segments of outcomes to columns, so that no analysis of an experiment waits for
it; a copy may be deleted at any time.

`forget`: deletes the days of predictions and outcomes that lie further back than `NINETY_LOG_DAYS` days, if
it says any; a day that is being read or written waits for the next run. `forget_reports`: deletes pages of
monitors' runs that speak of days further back than `NINETY_REPORT_DAYS`. In a replay nothing is deleted.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from model_dags import schedule
from page_links import PLATFORM, platform_owner
from stage_task import stage_task

with DAG(
    "predictions_compact",
    schedule=schedule("20 * * * *"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(seconds=10), "owner": PLATFORM},
    tags=["stage:monitoring"],
    owner_links=platform_owner(),
    doc_md=__doc__,
) as predictions_compact:

    @stage_task
    def compact() -> dict[str, int]:
        """Compact what may be; returns how many rows and segments moved, and to how many files."""
        from include.config.settings import settings
        from include.contracts.errors import DataError
        from include.monitoring.compaction import compact_predictions

        done = compact_predictions(settings(), datetime.now(UTC))  # segments age by the wall's clock
        if done.damaged:
            raise DataError("; ".join(done.damaged))
        return {"rows": done.rows, "segments": done.segments, "files": done.files}

    @stage_task
    def copy_outcomes() -> int:
        """Copy what was sealed since; returns how many segments."""
        from include.adapters.outcome_columns import copy_sealed
        from include.config.settings import settings

        return copy_sealed(settings().outcomes_folder)

    @stage_task
    def forget() -> dict[str, int]:
        """Delete days kept longer than `NINETY_LOG_DAYS`; returns how many went, and how many wait."""
        from dataclasses import asdict

        from include.config.settings import settings
        from include.monitoring.retention import forget_old_days

        return asdict(forget_old_days(settings(), datetime.now(UTC).date()))  # and so do days

    @stage_task
    def forget_reports() -> int:
        """Delete pages of monitors kept longer than `NINETY_REPORT_DAYS`; returns how many went."""
        from include.config.settings import settings
        from include.monitoring.reports import forget_old_reports

        return forget_old_reports(settings(), datetime.now(UTC).date())  # and so do pages

    [compact(), copy_outcomes()] >> forget()
    forget_reports()
