"""### Features, once for training and serving

1. `compute_features`: one SQL file a view, one Parquet file a day; a rerun changes nothing, and a source that
   lacks a column stops it before anything is written.
2. `materialize_online`: the newest values go to the online store.

The run's logical date is day `d`; its features cover `[d - 30 days, d)`.
Set `from_day` in the run's conf to compute a range of days that ends at `d`.
"""

from datetime import date, timedelta

from airflow.sdk import DAG, Param

from model_dags import schedule
from stage_task import as_of, stage_task

with DAG(
    "features_materialize",
    schedule=schedule("0 3 * * *"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(seconds=10)},
    params={
        "from_day": Param(
            None, type=["null", "string"], format="date", description="First day, if not only one"
        ),
        "as_of": Param(
            None, type=["null", "string"], format="date-time", description="If not the logical date"
        ),
    },
    tags=["stage:features"],
    doc_md=__doc__,
) as features_materialize:

    @stage_task
    def compute_features(params: dict | None = None) -> dict[str, int]:
        """Compute the run's days; returns rows by view."""
        from include.config.settings import settings
        from include.features.materialize import compute_features

        last = as_of().date()
        first = date.fromisoformat(params["from_day"]) if params["from_day"] else last
        return compute_features(settings(), first, last, as_of())

    @stage_task
    def materialize_online() -> dict[str, int]:
        """Bring the online store up to the run's day; returns rows by view."""
        from include.config.settings import settings
        from include.features.online import materialize_online

        return materialize_online(settings(), as_of().date())

    compute_features() >> materialize_online()
