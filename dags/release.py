"""### Release: one version on its way to all traffic

1. `open_release`: plan, thresholds and the contract's hash are copied into the ledger; a second release of
   the same model is refused with who holds the first.
2. `approve`: named approvers see the evidence, and their answer goes to the ledger, bound to the artefact's
   hash. Who asked for the training or triggered this run may not answer; when time runs out the answer is no.
3. `is_approved`: goes on only where the ledger holds the approval. A no ends the release here.
4. `load_version`: into Triton, every byte checked, golden predictions compared.
5. `switch_route`: release and route change in one transaction.
6. `settle`: the registry's alias and Triton's loaded models follow the ledger.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param, get_current_context, task

from include.config.models import ModelFolder
from include.config.settings import settings
from model_dags import model_dag, model_dags
from release_approval import ReleaseApproval, release_id
from stage_task import readable, stage_task, triggered_by

PARAMS = {"version": Param(None, type="string", description="Semantic version to release")}


def release_dag(folder: ModelFolder) -> DAG:
    """Build `<model>_release`."""
    contract = folder.contract
    with model_dag(folder, "release", room="rollout", doc=__doc__, params=PARAMS, at_once=16) as dag:

        def this_release() -> str:
            return release_id(folder.name, get_current_context())

        @stage_task
        def open_release(params: dict | None = None) -> str:
            """Open the release; returns its id."""
            from include.adapters.ledger.ledger import Ledger
            from include.rollout.open import open_release

            return open_release(
                Ledger(settings().ledger_uri),
                contract,
                params["version"],
                release_id=this_release(),
                triggered_by=triggered_by(),
            ).release_id

        @task.short_circuit(ignore_downstream_trigger_rules=True)
        @readable
        def is_approved() -> bool:
            """Look into the ledger; a no stops the run here."""
            from include.adapters.ledger.ledger import Ledger
            from include.rollout.approval import is_approved

            return is_approved(Ledger(settings().ledger_uri), this_release())

        @stage_task
        def load_version() -> None:
            """Load the version into Triton and compare its golden predictions."""
            from include.adapters.ledger.ledger import Ledger
            from include.adapters.triton_control import TritonControl
            from include.rollout.approval import existing_release
            from include.rollout.load import load_release

            ledger, triton = Ledger(settings().ledger_uri), TritonControl(settings().triton_endpoint)
            release = existing_release(ledger, this_release())
            load_release(settings(), ledger, triton, release, contract.resources)

        @stage_task
        def switch_route() -> None:
            """Give the version all traffic."""
            from include.adapters.ledger.ledger import Ledger
            from include.rollout.approval import existing_release
            from include.rollout.switch import switch_route

            ledger = Ledger(settings().ledger_uri)
            release = existing_release(ledger, this_release())
            switch_route(settings(), ledger, contract, release, triggered_by())

        @stage_task
        def settle() -> None:
            """End the release, then bring Triton and the registry in line with the ledger."""
            from include.adapters.ledger.ledger import Ledger
            from include.commands.reconcile import reconcile
            from include.rollout.approval import existing_release
            from include.rollout.promote import promote

            ledger = Ledger(settings().ledger_uri)
            promote(ledger, existing_release(ledger, this_release()), triggered_by())
            reconcile(settings(), folder)

        approve = ReleaseApproval(
            task_id="approve",
            retries=5,  # an answer that Airflow loses is asked for again, never assumed
            model=folder.name,
            response_timeout=timedelta(hours=settings().approval_timeout_hours),
        )
        open_release() >> approve >> is_approved() >> load_version() >> switch_route() >> settle()
    return dag


globals().update(model_dags("release", release_dag))
