"""### Service objectives: what the service may still get wrong

1. `watch`: counts what was served since the last look, out of the prediction log: requests that got no answer
   (`objectives.availability`), answers that came late (`objectives.latency_p99_ms`). From these it tells how
   much of the error budget of 30 days is left, and how fast it is being spent.

An alert is raised where the budget is spent 14.4 times too fast over an hour and the last five minutes
(critical), 6 times over six hours and the last half hour (error), or faster than it lasts over three days and
the last six hours (warning), and chance does not explain it. It is resolved when the short window is well.

Spans that were not counted because Airflow was away are counted by the next run. Set `as_of` in the run's
conf to look from another moment.
"""

from datetime import UTC, datetime

from airflow.sdk import DAG

from include.config.models import ModelFolder
from include.contracts.measurements import Monitor
from model_dags import model_dags, monitor_dag
from stage_task import as_of, stage_task


def objectives_dag(folder: ModelFolder) -> DAG | None:
    """Build `<model>_objectives`."""
    contract = folder.contract
    dag = monitor_dag(folder, Monitor.OBJECTIVES, __doc__)
    if dag is None:
        return None
    with dag:

        @stage_task
        def watch() -> str:
            """Count, judge, store, alert; returns what was found in a line."""
            from contextlib import closing

            from include.adapters.ledger.ledger import Ledger
            from include.adapters.measurements import MeasurementStore
            from include.config.settings import settings
            from include.monitoring.objectives import watch_objectives

            with (
                closing(Ledger(settings().ledger_uri)) as ledger,
                closing(MeasurementStore(settings().ledger_uri)) as store,
            ):
                return watch_objectives(
                    settings(), ledger, store, contract, as_of=as_of(), recorded_at=datetime.now(UTC)
                ).summary

        watch()
    return dag


globals().update(model_dags("objectives", objectives_dag))
