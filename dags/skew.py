"""### Skew: was what was served what training would have seen?

1. `audit`: takes a day's logged predictions, recomputes their features from the sources as of each
   prediction's moment, and compares value by value. What a later correction or a materialisation that had not
   caught up explains is *stale*; only what nothing explains is *skew*. The report goes to `skew/<day>.json`.
   Missing where nothing had been brought online yet is stale too. Request-time features are computed again
   from those rows and from what the request brought.
2. `alert`: writes an alert to the ledger's outbox for each model with a feature above the threshold, with
   the ids of some of its predictions.

The run audits the day before its logical date; set `day` in its conf for another one.

Runbook: [feature_skew](/ninety/runbooks/feature_skew).
"""

from datetime import date, timedelta

from airflow.sdk import DAG, Param

from model_dags import schedule
from page_links import PLATFORM, platform_owner
from stage_task import as_of, stage_task

with DAG(
    "features_skew_audit",
    schedule=schedule("30 4 * * *"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(seconds=10), "owner": PLATFORM},
    params={
        "day": Param(None, type=["null", "string"], format="date", description="If not the day before"),
        "threshold": Param(0.0, type="number", minimum=0, maximum=1, description="Mismatch ratio allowed"),
        "as_of": Param(
            None, type=["null", "string"], format="date-time", description="If not the logical date"
        ),
    },
    tags=["stage:features"],
    owner_links=platform_owner(),
    doc_md=__doc__,
) as features_skew_audit:

    @stage_task
    def audit(params: dict | None = None) -> str:
        """Audit the day; returns it."""
        from include.config.settings import settings
        from include.features.skew_audit import audit_skew

        day = date.fromisoformat(params["day"]) if params["day"] else as_of().date() - timedelta(days=1)
        audit_skew(settings(), day, as_of(), params["threshold"])
        return day.isoformat()

    @stage_task
    def alert(day: str) -> list[str]:
        """Alert on what failed; returns the models."""
        from include.adapters.ledger.ledger import Ledger
        from include.config.settings import settings
        from include.features.skew_audit import alert_on, read_report

        return alert_on(read_report(settings(), date.fromisoformat(day)), Ledger(settings().ledger_uri))

    alert(audit())
