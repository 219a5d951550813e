"""### Labels: the truth, when it can be known

1. `compute_labels`: run the model's `label.sql` over every day whose label is known by the run's moment,
   and write what changed to the label store. A correction is a new version beside the old one.
2. `request_training`: where enough labels came in since the last training, or its code changed, ask the
   ledger for one and wake `<model>_train`; skipped otherwise.

Set `from_day` in the run's conf to reach further back than four weeks.
"""

from datetime import UTC, date, datetime, time, timedelta

from airflow.sdk import DAG, Param
from airflow.sdk.exceptions import AirflowSkipException

from include.config.models import ModelFolder
from model_dags import model_dag, model_dags, training_wanted
from stage_task import AS_OF, as_of, stage_task

TRAILING = timedelta(days=28)
"""Reaches back over a source that was silent for a while."""

PARAMS = {
    "from_day": Param(None, type=["null", "string"], format="date", description="First day to label"),
    "as_of": AS_OF,
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

        @stage_task
        def request_training() -> list[str]:
            """Ask the ledger for a training where one is due; returns why."""
            from include.adapters.ledger.ledger import Ledger
            from include.config.settings import settings
            from include.contracts.events import SYSTEM
            from include.training.claim import due, present

            ledger = Ledger(settings().ledger_uri)
            last = ledger.last_regular_training(folder.name)
            reasons = due(contract, last, present(settings(), folder, as_of()))
            if not reasons:
                raise AirflowSkipException("no training is due")
            for reason in reasons:
                ledger.request_retrain(folder.name, reason, as_of(), SYSTEM)
            return list(reasons.values())

        doorbell = request_training.override(outlets=[training_wanted(folder.name)])
        compute_labels() >> doorbell()
    return dag


globals().update(model_dags("labels", labels_dag))
