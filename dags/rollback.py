"""### Rollback: all traffic back to an earlier version

1. `roll_back`: load it if it is not loaded, compare its golden predictions, then switch the route; a release
   under way ends as rolled back in the same transaction. Lowering risk needs no approval, only a reason.
2. `settle`: the registry's alias and Triton's loaded models follow the ledger.

The same is one command that works while Airflow is down: `make rollback MODEL=… TO=… REASON=…`.
"""

from airflow.sdk import DAG, Param

from include.config.models import ModelFolder
from include.config.settings import settings
from model_dags import model_dag, model_dags
from stage_task import stage_task, triggered_by

PARAMS = {
    "to": Param("previous", type="string", description="Semantic version, or `previous`"),
    "reason": Param(None, type="string", minLength=1, description="Why; goes to the ledger"),
}


def rollback_dag(folder: ModelFolder) -> DAG:
    """Build `<model>_rollback`."""
    with model_dag(folder, "rollback", room="rollout", doc=__doc__, params=PARAMS) as dag:

        @stage_task
        def roll_back(params: dict | None = None) -> str:
            """Switch the route; returns the version that serves now."""
            from include.adapters.ledger.ledger import Ledger
            from include.adapters.triton_control import every_triton
            from include.rollout.rollback import roll_back

            route = roll_back(
                settings(),
                Ledger(settings().ledger_uri),
                every_triton(settings()),
                folder.name,
                actor=triggered_by(),
                reason=params["reason"],
                to=params["to"],
            )
            return route.champion.version

        @stage_task
        def settle() -> None:
            """Bring registry and Triton in line with the ledger."""
            from include.commands.reconcile import reconcile

            reconcile(settings(), folder.name)

        roll_back() >> settle()
    return dag


globals().update(model_dags("rollback", rollback_dag))
