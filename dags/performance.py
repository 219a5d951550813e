"""### Performance: what predictions were worth, once their labels are known

1. `join_labels`: joins every day whose predictions, labels or outcomes changed, whenever that was: late
   labels and corrections reopen their day. Bad labels go to quarantine, counted by reason.
2. `measure`: the contract's metrics with intervals, by version, variant and slice, of the newest day whose
   labels are due and of the week it ends; judged against the trailing days and the version's first days. What
   unlabelled days are expected to bring, how such expectations did, and what explains a decline.
3. `raise_alerts`: alerts where a decline reaches the contract's ratio and chance does not explain it;
   resolves them where it is over.
4. `request_training`: where the contract's trigger says so, asks the ledger for a training and wakes
   `<model>_train`, whose release waits for a person; skipped otherwise, saying why.

A day with too few labels says so and alarms nobody. As of the run's moment: `as_of` of its conf, else its
logical date.
"""

import logging

from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException

from include.config.models import ModelFolder
from include.contracts.measurements import Monitor
from model_dags import model_dags, monitor_dag, training_wanted
from stage_task import as_of, stage_task

_log = logging.getLogger(__name__)


def performance_dag(folder: ModelFolder) -> DAG | None:
    """Build `<model>_performance`, where the contract asks for it."""
    contract = folder.contract
    dag = monitor_dag(folder, Monitor.PERFORMANCE, __doc__)
    if dag is None:
        return None
    with dag:

        @stage_task
        def join_labels() -> list[str]:
            """Join the days that changed; returns them."""
            from include.config.settings import settings
            from include.monitoring.label_days import join_days

            joined = join_days(settings(), contract, as_of())
            _log.info("%d rows added in %d days", joined.rows, len(joined.days))
            return [f"{state.start:%Y-%m-%d}" for state in joined.days]

        @stage_task
        def measure() -> str:
            """Measure, judge and store; returns the run's verdict."""
            from include.config.settings import settings
            from include.monitoring.performance_run import measure_performance

            run = measure_performance(settings(), contract, as_of())
            _log.info("%s: %s", run.verdict, run.summary)
            return run.verdict.value

        @stage_task
        def raise_alerts() -> list[str]:
            """Raise and resolve alerts; returns what is wrong."""
            from include.config.settings import settings
            from include.monitoring.performance_run import alert

            return alert(settings(), contract, as_of())

        @stage_task
        def request_training() -> str:
            """Ask the ledger for a training where the trigger says so; returns the decision."""
            from include.config.settings import settings
            from include.monitoring.performance_run import ask_for_training

            decision, is_waiting = ask_for_training(settings(), contract, as_of())
            if not is_waiting:
                raise AirflowSkipException(f"no training is asked for: {decision}")
            return decision

        doorbell = request_training.override(outlets=[training_wanted(folder.name)])
        join_labels() >> measure() >> [raise_alerts(), doorbell()]
    return dag


globals().update(model_dags("performance", performance_dag))
