"""### Training: from data to a registered version, or to the gate that stopped it

1. `freeze_training_set`: features as they were at each moment, joined with the labels known by the
   run's moment, frozen under the hash of their content.
2. `train`: the network with its preprocessing, exported as one ONNX graph.
3. `evaluate`: on windows of time the model has not seen: thresholds, a trivial baseline, the champion,
   slices, spoilt inputs, time to answer in Triton, and production's logged answers (`docs/evaluation.md`).
4. `register`: a semantic version, unless a gate failed or was not measured; the log says which, with figures.
5. `request_release`: opens `<model>_release`, which asks a human. Unset `release` to stop before it.
"""

from datetime import UTC, datetime

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, task

from include.config.models import ModelFolder
from model_dags import model_dag, model_dags
from stage_task import as_of, requested_by, stage_task, triggered_by

PARAMS = {
    "as_of": Param(None, type=["null", "string"], format="date-time", description="If not the logical date"),
    "requested_by": Param(None, type=["null", "string"], description="Who asked for it"),
    "release": Param(True, type="boolean", description="Ask for a release afterwards"),
}


def train_dag(folder: ModelFolder) -> DAG:
    """Build `<model>_train`."""
    contract = folder.contract
    with model_dag(
        folder, "train", room="training", doc=__doc__, params=PARAMS, cron=contract.schedules.train
    ) as dag:

        @stage_task
        def freeze_training_set() -> dict:
            """Freeze the training set; returns its Snapshot."""
            from include.config.settings import settings
            from include.features.training_set import freeze_training_set

            return freeze_training_set(settings(), contract, as_of()).model_dump(mode="json")

        @stage_task
        def train(snapshot: dict) -> str:
            """Train and export; returns the candidate's URI."""
            from include.config.settings import settings
            from include.contracts.packages import Snapshot
            from include.training.train import train

            frozen = Snapshot.model_validate(snapshot)
            return train(settings(), folder, frozen, requested_by(), datetime.now(UTC))

        @stage_task
        def evaluate(candidate: str) -> str:
            """Judge the candidate; returns its URI, the report lies beside it."""
            from include.adapters.ledger.ledger import Ledger
            from include.config.settings import settings
            from include.evaluation.evaluate import evaluate

            evaluate(settings(), folder, candidate, Ledger(settings().ledger_uri).champion(folder.name))
            return candidate

        @stage_task
        def register(candidate: str) -> str:
            """Register the candidate; returns its semantic version."""
            from include.adapters.ledger.ledger import Ledger
            from include.adapters.tracking import Tracking
            from include.config.settings import settings
            from include.registry.register import register

            ledger, tracking = Ledger(settings().ledger_uri), Tracking(settings())
            return register(settings(), ledger, tracking, folder, candidate, actor=triggered_by()).version

        @task.short_circuit
        def wants_release(params: dict | None = None) -> bool:
            """Stop here when no release was asked for."""
            return params["release"]

        registered = register(evaluate(train(freeze_training_set())))
        request_release = TriggerDagRunOperator(
            task_id="request_release",
            trigger_dag_id=f"{folder.name}_release",
            trigger_run_id="release__{{ ti.xcom_pull(task_ids='register') }}__{{ run_id }}",
            skip_when_already_exists=True,  # a retry asks for the release it has asked for
            conf={"version": "{{ ti.xcom_pull(task_ids='register') }}"},
        )
        registered >> wants_release() >> request_release
    return dag


globals().update(model_dags("train", train_dag))
