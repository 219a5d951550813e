"""### Batch scores: every entity, or a list of them, as of a date

1. `plan`: which version answers, the champion unless `version` names one, and under which policy. Without a
   champion the run is skipped, with the reason.
2. `freeze_features`: the newest features of every entity as they were known at the run's moment, frozen under
   the hash of their content; `entities` in the run's conf takes those alone.
3. `score`: the version's own artefact, in process; each entity gets its row in the prediction log, with an id
   that only model, version, moment and entity decide. What is logged stands: a rerun adds what is missing.
4. `publish`: the batch's rows as Parquet, `scores/<model>/<moment>/<version>.parquet`, replaced in one step.
"""

from datetime import UTC, datetime

from airflow.sdk import DAG, Param
from airflow.sdk.exceptions import AirflowSkipException

from include.config.models import ModelFolder
from model_dags import model_dag, model_dags
from stage_task import AS_OF, as_of, stage_task

PARAMS = {
    "as_of": AS_OF,
    "entities": Param(
        None,
        type=["null", "array"],
        items={"type": ["integer", "string"]},
        minItems=1,
        description="Keys of the entities to score, if not every one",
    ),
    "version": Param("champion", type="string", description="Semantic version, or `champion`"),
}


def batch_score_dag(folder: ModelFolder) -> DAG:
    """Build `<model>_batch_score`."""
    contract = folder.contract
    with model_dag(
        folder, "batch_score", room="scoring", doc=__doc__, params=PARAMS, cron=contract.schedules.batch_score
    ) as dag:

        @stage_task
        def plan(params: dict | None = None) -> dict:
            """Choose the version; returns the ScoringPlan."""
            from include.adapters.ledger.ledger import Ledger
            from include.config.settings import settings
            from include.scoring.plan import plan_batch

            ledger = Ledger(settings().ledger_uri)
            found = plan_batch(settings(), ledger, contract, as_of(), params["version"])
            if found is None:
                raise AirflowSkipException(
                    f"{folder.name} has no champion: nothing was released, or the model was retired; "
                    "release a version, or name one in `version`"
                )
            return found.model_dump(mode="json")

        @stage_task
        def freeze_features(planned: dict, params: dict | None = None) -> dict:
            """Freeze the entities' features; returns the ScoringSet."""
            from include.config.settings import settings
            from include.contracts.scoring import ScoringPlan
            from include.features.scoring_set import freeze_scoring_set

            batch = ScoringPlan.model_validate(planned)
            return freeze_scoring_set(settings(), batch, params["entities"]).model_dump(mode="json")

        @stage_task
        def score(planned: dict, frozen: dict) -> dict:
            """Score into the prediction log; returns rows by status."""
            from include.adapters.ledger.ledger import Ledger
            from include.config.settings import settings
            from include.contracts.scoring import ScoringPlan, ScoringSet
            from include.scoring.score import score_batch

            batch, scoring_set = ScoringPlan.model_validate(planned), ScoringSet.model_validate(frozen)
            ledger = Ledger(settings().ledger_uri)
            report = score_batch(settings(), ledger, batch, scoring_set, lambda: datetime.now(UTC))
            return report.model_dump(mode="json")

        @stage_task
        def publish(planned: dict) -> str:
            """Write the Parquet; returns its path."""
            from include.config.settings import settings
            from include.contracts.scoring import ScoringPlan
            from include.scoring.publish import publish_scores

            return str(publish_scores(settings(), ScoringPlan.model_validate(planned)))

        planned = plan()
        score(planned, freeze_features(planned)) >> publish(planned)
    return dag


globals().update(model_dags("batch_score", batch_score_dag))
