"""### Prediction drift: does the model answer as it did?

1. `measure`: the scores each variant gave in the window before the run's moment, as counts over ten bins and
   by predicted class, against those of the version's own test rows and against the same window a week ago;
   and, where labels are in, whether scores are the chances they claim to be. What was seen is stored,
   whatever the verdict.
2. `alert`: opens an alert for each variant whose scores shifted, closes it when they are as they were.

A window without answers is *no data*, a version whose package is gone *broken*; neither is "no drift"
(`docs/monitoring.md`). A run that is repeated replaces what it stored.
"""

from airflow.sdk import DAG

from include.config.models import ModelFolder
from include.contracts.measurements import Monitor
from model_dags import model_dags, monitor_dag
from stage_task import as_of, asked_at, stage_task


def prediction_drift_dag(folder: ModelFolder) -> DAG | None:
    """Build `<model>_prediction_drift`, where the contract asks for it."""
    contract = folder.contract
    dag = monitor_dag(folder, Monitor.PREDICTION_DRIFT, __doc__)
    if dag is None:
        return None
    with dag:

        @stage_task
        def measure() -> str:
            """Measure and judge the windows; returns the verdict."""
            from include.config.settings import settings
            from include.monitoring.prediction_drift import watch_predictions

            return watch_predictions(settings(), contract, as_of(), asked_at()).verdict.value

        @stage_task
        def alert() -> list[str]:
            """Open and close alerts; returns what shifted."""
            from include.config.settings import settings
            from include.monitoring.drift_alerts import announce_run

            return announce_run(settings(), folder.name, Monitor.PREDICTION_DRIFT, as_of())

        measure() >> alert()
    return dag


globals().update(model_dags("prediction_drift", prediction_drift_dag))
