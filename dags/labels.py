"""### Labels: the truth, when it can be known

1. `compute_labels`: run the model's `label.sql` over every day whose label is known by the run's moment,
   and write what changed to the label store. A correction is a new version beside the old one.

Set `from_day` in the run's conf to reach further back than four weeks.
"""

from datetime import UTC, date, datetime, time, timedelta

from airflow.sdk import DAG, Param

from include.config.models import ModelFolder
from model_dags import model_dag, model_dags
from stage_task import as_of, stage_task

TRAILING = timedelta(days=28)
"""Reaches back over a source that was silent for a while."""

PARAMS = {
    "from_day": Param(None, type=["null", "string"], format="date", description="First day to label"),
    "as_of": Param(None, type=["null", "string"], format="date-time", description="If not the logical date"),
}


def labels_dag(folder: ModelFolder) -> DAG:
    """Build `<model>_labels`."""
    contract = folder.contract
    with model_dag(
        folder, "labels", room="labels", doc=__doc__, params=PARAMS, cron=contract.schedules.labels
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
