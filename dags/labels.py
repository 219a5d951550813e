"""### Labels: the truth, when it can be known

1. `compute_labels`: run the model's `label.sql` over every day whose label is known by the run's moment,
   and write what changed to the label store. A correction is a new version beside the old one.

Set `from_day` in the run's conf to reach further back than the last week.
"""

from datetime import UTC, date, datetime, time, timedelta

from airflow.sdk import DAG, Param

from include.config.models import ModelFolder
from model_dags import model_dags, schedule
from stage_task import as_of, stage_task

TRAILING = timedelta(days=7)


def labels_dag(folder: ModelFolder) -> DAG:
    """Build `<model>_labels`."""
    contract = folder.contract
    with DAG(
        f"{folder.name}_labels",
        schedule=schedule(contract.schedules.labels),
        catchup=False,
        max_active_runs=1,
        default_args={"retries": 1, "retry_delay": timedelta(seconds=10), "owner": contract.owner.team},
        params={
            "from_day": Param(None, type=["null", "string"], format="date"),
            "as_of": Param(None, type=["null", "string"], format="date-time"),
        },
        tags=[f"model:{folder.name}", "stage:labels"],
        doc_md=__doc__,
    ) as dag:

        @stage_task
        def compute_labels(params: dict | None = None) -> int:
            """Write the labels known by the run's moment; returns rows written."""
            from include.config.settings import settings
            from include.data.labels import compute_labels

            moment = as_of()
            newest = moment - contract.label.delay
            given = params["from_day"]
            first = datetime.combine(date.fromisoformat(given), time(), UTC) if given else newest - TRAILING
            return compute_labels(settings(), folder, first, newest + timedelta(microseconds=1), moment)

        compute_labels()
    return dag


globals().update(model_dags("labels", labels_dag))
