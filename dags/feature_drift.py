"""### Feature drift: is the model asked with what it learned from?

1. `measure`: the live requests of the window before the run's moment, input by input, against the champion's
   training set (or the contract's `reference_dataset`): Kolmogorov-Smirnov, stability index, missing values,
   unseen categories, values out of range, stale views. What was seen is stored, whatever the verdict.
2. `alert`: opens an alert for each input that shifted, closes those of inputs that are as they were.
3. `report`: both distributions of every input as a page, kept in the artefact store; skipped where there was
   nothing to show.

An empty window is *no data*, a reference that does not fit the model *broken*; neither is "no drift"
(`docs/monitoring.md`). A run that is repeated replaces what it stored.
"""

from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException

from include.config.models import ModelFolder
from include.contracts.measurements import Monitor
from model_dags import model_dags, monitor_dag
from stage_task import as_of, asked_at, stage_task


def feature_drift_dag(folder: ModelFolder) -> DAG | None:
    """Build `<model>_feature_drift`, where the contract asks for it."""
    contract = folder.contract
    dag = monitor_dag(folder, Monitor.FEATURE_DRIFT, __doc__)
    if dag is None:
        return None
    with dag:

        @stage_task
        def measure() -> str:
            """Measure and judge the window; returns the verdict."""
            from include.config.settings import settings
            from include.monitoring.feature_drift import watch_features

            return watch_features(settings(), contract, as_of(), asked_at()).verdict.value

        @stage_task
        def alert() -> list[str]:
            """Open and close alerts; returns what shifted."""
            from include.config.settings import settings
            from include.monitoring.drift_alerts import announce_run
            from include.monitoring.reports import page_uri

            uri = page_uri(folder.name, Monitor.FEATURE_DRIFT, as_of())
            return announce_run(settings(), folder.name, Monitor.FEATURE_DRIFT, as_of(), uri)

        @stage_task
        def report() -> str:
            """Draw the page; returns its URI."""
            from include.config.settings import settings
            from include.monitoring.drift_pages import write_feature_page

            uri = write_feature_page(settings(), contract, as_of())
            if uri is None:
                raise AirflowSkipException("there is nothing to show")
            return uri

        measure() >> [alert(), report()]
    return dag


globals().update(model_dags("feature_drift", feature_drift_dag))
