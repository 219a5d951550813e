"""### Training: from data to a registered version, or to the gate that stopped it

1. `claim`: asks the ledger whether there is anything to train, and takes it on. Skipped, saying so, where
   nothing is new and nobody asked, or another run is at it.
2. `freeze_training_set`: features as they were at each moment, joined with the labels known by the
   run's moment, frozen under the hash of their content; what only the champion reads beside them.
3. `train`: the network with its preprocessing, exported as one ONNX graph; each epoch is in the log and
   in MLflow.
4. `evaluate`: on windows of time the model has not seen: thresholds, a trivial baseline, the champion,
   slices, spoilt inputs, time to answer in Triton, and production's logged answers (`docs/evaluation.md`).
5. `register`: a semantic version, unless a gate failed or was not measured; the log says which, with figures.
6. `request_release`: opens `<model>_release`, which asks a human. Unset `release` to stop before it.
7. `end_claim`: with a verdict, registered or a gate failed, the requests it took on are over and the training
   counts. Without one, because the run failed or a gate was not measured, it stays due and its requests wait.

| what starts it | what it trains |
|---|---|
| the schedule | what is due: labels of `training.snapshot_every` came in, or the code changed, or never yet |
| the asset `<model>_training_wanted` | what the ledger's retrain requests ask for |
| a person | what they ask for: `as_of`, `hyperparameters`, `seed` replace the contract's in this run |

The asset only wakes the run: an event may be lost, the request in the ledger is not, and the
schedule finds it.
"""

import logging
from datetime import UTC, datetime
from functools import partial

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from include.config.models import ModelFolder
from model_dags import model_dag, model_dags, training_wanted
from stage_task import AS_OF, readable, requested_by, stage_task, triggered_by
from training_runs import claimant, demanded, return_dead_claims, scheduled_moment

_log = logging.getLogger(__name__)

PARAMS = {
    "as_of": AS_OF,
    "requested_by": Param(None, type=["null", "string"], description="Who asked for it"),
    "release": Param(True, type="boolean", description="Ask for a release afterwards"),
    "hyperparameters": Param({}, type="object", description="Replace the contract's, one by one"),
    "seed": Param(None, type=["null", "integer"], description="Replaces the contract's"),
    "reason": Param(None, type=["null", "string"], description="Why; for whoever reads the run"),
}


@task(trigger_rule=TriggerRule.ALL_DONE)
@readable
def end_claim(params: dict | None = None) -> str:
    """End the requests this run took on, or put them back; returns how it ended."""
    from include.adapters.ledger.ledger import Ledger
    from include.config.settings import settings
    from include.training.outcome import end_claim

    ti = get_current_context()["ti"]
    if ti.xcom_pull(task_ids="claim") is None:
        raise AirflowSkipException("nothing was taken on")
    return end_claim(
        settings(),
        Ledger(settings().ledger_uri),
        claimant(),
        candidate_uri=ti.xcom_pull(task_ids="evaluate"),
        version=ti.xcom_pull(task_ids="register"),
        overrides=(params["hyperparameters"], params["seed"]),
        actor=triggered_by(),
    )


def train_dag(folder: ModelFolder) -> DAG:
    """Build `<model>_train`."""
    contract = folder.contract
    with model_dag(
        folder,
        "train",
        room="training",
        doc=__doc__,
        params=PARAMS,
        cron=contract.schedules.train,
        doorbells=(training_wanted(folder.name),),
    ) as dag:

        @stage_task
        def claim() -> str:
            """Take a training on; returns its moment."""
            from include.adapters.ledger.ledger import Ledger
            from include.config.settings import settings
            from include.training.claim import claim, present

            ledger = Ledger(settings().ledger_uri)
            return_dead_claims(ledger, folder.name)
            taken = claim(
                ledger,
                folder,
                claimant(),
                look=partial(present, settings(), folder),
                moment=scheduled_moment(),
                demand=demanded(),
                actor=requested_by(),
            )
            if taken.as_of is None:
                raise AirflowSkipException(f"nothing to train: {taken.why}")
            _log.info("training %s as of %s: %s", folder.name, taken.as_of.isoformat(), taken.why)
            return taken.as_of.isoformat()

        @stage_task
        def freeze_training_set(moment: str) -> dict:
            """Freeze the training set; returns its Snapshot."""
            from include.adapters.ledger.ledger import Ledger
            from include.config.settings import settings
            from include.features.training_set import freeze_training_set

            as_of = datetime.fromisoformat(moment)
            champion = Ledger(settings().ledger_uri).champion(folder.name)
            return freeze_training_set(settings(), contract, as_of, champion).model_dump(mode="json")

        @stage_task
        def train(snapshot: dict, params: dict | None = None) -> str:
            """Train and export; returns the candidate's URI."""
            from include.adapters.ledger.ledger import Ledger
            from include.config.settings import settings
            from include.contracts.packages import Snapshot
            from include.training.claim import requesters
            from include.training.train import train

            return train(
                settings(),
                folder,
                Snapshot.model_validate(snapshot),
                requesters(Ledger(settings().ledger_uri), claimant(), requested_by()),
                datetime.now(UTC),
                hyperparameters=params["hyperparameters"],
                seed=params["seed"],
            )

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

        claimed = claim()
        judged = evaluate(train(freeze_training_set(claimed)))
        registered = register(judged)
        [claimed, judged, registered] >> end_claim()
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
