"""### Features, once for training and serving

1. `validate_sources`: every source's rows are judged before anything is computed; rows with a defect of their
   own are set aside and counted, an unfit source stops the run, keeps the batch in quarantine and alerts.
2. `compute_features`: one SQL file a view, one Parquet file a day, into staging. Skipped with all that
   follows when no day is due.
3. `validate_views`: the computed rows are judged, then published day by day, each in one step.
4. `materialize_online`: the newest values go to the online store, in chunks; an older value never replaces a
   newer one. Then the asset `features` is updated.

The run's logical date is day `d`; its features cover each view's window before `d`. A run computes its own
day, unless nothing changed since, and the days whose rows arrived late. Set `from_day` in the run's conf to
compute every day from there to `d` in one run. Airflow's own backfill makes one run a day of its range, also
while history is replayed and nothing runs by itself: `make backfill FROM=2017-06-01 TO=2017-06-10`.

Runbook: [data_quality](/ninety/runbooks/data_quality).
"""

import logging
from datetime import date, timedelta

from airflow.sdk import DAG, Asset, Param
from airflow.sdk.exceptions import AirflowSkipException

from daily_backfill import DailyBackfillTimetable
from model_dags import schedule
from page_links import PLATFORM, platform_owner
from stage_task import as_of, stage_task

FEATURES = Asset("features")

_log = logging.getLogger(__name__)

with DAG(
    "features_materialize",
    schedule=DailyBackfillTimetable(schedule("0 * * * *")),
    catchup=False,
    max_active_runs=1,
    # A backfill has a limit of its own for its runs; each step still runs once at a time.
    default_args={
        "retries": 1,
        "retry_delay": timedelta(seconds=10),
        "max_active_tis_per_dag": 1,
        "owner": PLATFORM,
    },
    params={
        "from_day": Param(
            None, type=["null", "string"], format="date", description="First day, if not only what is due"
        ),
        "as_of": Param(
            None, type=["null", "string"], format="date-time", description="If not the logical date"
        ),
    },
    tags=["stage:features"],
    owner_links=platform_owner(),
    doc_md=__doc__,
) as features_materialize:

    @stage_task
    def validate_sources(params: dict | None = None) -> list[str]:
        """Judge the sources; returns the days to compute."""
        from datetime import UTC, datetime

        from include.adapters.ledger.ledger import Ledger
        from include.adapters.quarantine import remove_old
        from include.config.settings import settings
        from include.contracts.quality import Batch
        from include.data.validate import validate_sources
        from include.features.broken_views import alerting
        from include.features.computed_days import due_days

        last = as_of().date()
        given = date.fromisoformat(params["from_day"]) if params["from_day"] else None
        ledger = Ledger(settings().ledger_uri)
        first = given or min(due_days(settings(), last, as_of(), alerting(ledger)), default=last)
        now = datetime.now(UTC)
        _log.info("%s batches left quarantine for their age", remove_old(settings(), now))
        reports = validate_sources(settings(), ledger, Batch(first, last, as_of()), now)
        for name, report in reports.items():
            _log.info("%s: %s", name, report)
        if given is None:
            return [day.isoformat() for day in due_days(settings(), last, as_of())]
        return [(given + timedelta(days=offset)).isoformat() for offset in range((last - given).days + 1)]

    @stage_task
    def compute_features(days: list[str]) -> dict[str, int]:
        """Compute the days into staging; returns rows by view."""
        from include.adapters.ledger.ledger import Ledger
        from include.config.settings import settings
        from include.features.broken_views import alerting
        from include.features.materialize import stage_features

        if not days:
            raise AirflowSkipException("no day is due: nothing arrived since they were computed")
        tell = alerting(Ledger(settings().ledger_uri))
        return stage_features(settings(), [date.fromisoformat(day) for day in days], as_of(), tell=tell)

    @stage_task
    def validate_views(days: list[str]) -> dict[str, int]:
        """Judge and publish the computed days; returns expectations met by view."""
        from include.adapters.ledger.ledger import Ledger
        from include.config.settings import settings
        from include.features.validate_views import validate_views

        ledger = Ledger(settings().ledger_uri)
        return validate_views(settings(), ledger, [date.fromisoformat(day) for day in days], as_of())

    @stage_task
    def materialize_online() -> dict[str, int]:
        """Bring the online store up to the run's day; returns rows by view."""
        from include.adapters.ledger.ledger import Ledger
        from include.config.settings import settings
        from include.features.broken_views import settle_broken
        from include.features.online import materialize_online
        from include.features.views import BrokenView

        broken: list[BrokenView] = []
        counts = materialize_online(settings(), as_of().date(), broken.append)
        settle_broken(settings(), Ledger(settings().ledger_uri), broken)
        return counts

    due = validate_sources()
    online = materialize_online.override(outlets=[FEATURES])()
    compute_features(due) >> validate_views(due) >> online
