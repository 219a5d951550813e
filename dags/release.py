"""### Release: one version on its way to all traffic

1. `open_release`: plan, thresholds and the contract's hash are copied into the ledger; a second release of
   the same model is refused with who holds the first.
2. `approve`: named approvers see the evidence. Who asked for the training or triggered this run may not
   answer; when time runs out the answer is no.
3. `record_decision`: the answer goes to the ledger, bound to the artefact's hash. A no ends the release here.
4. `load_version`: into Triton, every byte checked, golden predictions compared.
5. `switch_route`: release and route change in one transaction.
6. `settle`: the registry's alias and Triton's loaded models follow the ledger.
"""

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param, get_current_context, task

from include.config.models import ModelFolder
from include.config.settings import settings
from model_dags import model_dag, model_dags
from release_approval import ReleaseApproval
from stage_task import readable, stage_task, triggered_by

PARAMS = {"version": Param(None, type="string", description="Semantic version to release")}


def release_dag(folder: ModelFolder) -> DAG:
    """Build `<model>_release`."""
    contract = folder.contract
    with model_dag(folder, "release", room="rollout", doc=__doc__, params=PARAMS, at_once=16) as dag:

        @stage_task
        def open_release(params: dict | None = None) -> dict:
            """Open the release; returns its id, its approvers and the evidence."""
            from include.adapters.artefacts import ArtefactStore
            from include.adapters.ledger.ledger import Ledger
            from include.adapters.packages import load_manifest, load_report
            from include.rollout.evidence import evidence
            from include.rollout.open import open_release

            ledger, store = Ledger(settings().ledger_uri), ArtefactStore(settings().artefacts_folder)
            release = open_release(
                ledger,
                contract,
                params["version"],
                release_id=f"{folder.name}-{get_current_context()['run_id']}",
                triggered_by=triggered_by(),
            )
            version = ledger.version(release.model, release.version)
            shown = evidence(version, load_manifest(store, version), load_report(store, version))
            return {
                "release_id": release.release_id,
                "version": release.version,
                "approvers": list(release.approvers),
                "evidence": shown,
            }

        @task.short_circuit(ignore_downstream_trigger_rules=True)
        @readable
        def record_decision(release: dict, answer: dict) -> bool:
            """Write the answer to the ledger; a no stops the run here."""
            from include.adapters.ledger.ledger import Ledger
            from include.contracts.releases import Decision, ReleaseStage
            from include.rollout.approval import record_decision

            recorded = record_decision(
                Ledger(settings().ledger_uri),
                release["release_id"],
                Decision.APPROVED if answer["approved"] else Decision.REJECTED,
                decided_by=answer["decided_by"],
                decided_at=datetime.fromisoformat(answer["decided_at"]),
                evidence=release["evidence"],
                reason=answer["reason"],
            )
            return recorded.stage is not ReleaseStage.REJECTED

        @stage_task
        def load_version(release: dict) -> None:
            """Load the version into Triton and compare its golden predictions."""
            from include.adapters.ledger.ledger import Ledger
            from include.adapters.triton_control import TritonControl
            from include.rollout.load import load_release

            ledger, triton = Ledger(settings().ledger_uri), TritonControl(settings().triton_endpoint)
            load_release(
                settings(), ledger, triton, ledger.release(release["release_id"]), contract.resources
            )

        @stage_task
        def switch_route(release: dict) -> None:
            """Give the version all traffic."""
            from include.adapters.ledger.ledger import Ledger
            from include.rollout.switch import switch_route

            ledger = Ledger(settings().ledger_uri)
            switch_route(settings(), ledger, contract, ledger.release(release["release_id"]), triggered_by())

        @stage_task
        def settle(release: dict) -> None:
            """End the release, then bring Triton and the registry in line with the ledger."""
            from include.adapters.ledger.ledger import Ledger
            from include.commands.reconcile import reconcile
            from include.rollout.promote import promote

            ledger = Ledger(settings().ledger_uri)
            promote(ledger, ledger.release(release["release_id"]), triggered_by())
            reconcile(settings(), folder)

        opened = open_release()
        approve = ReleaseApproval(
            task_id="approve",
            retries=5,  # an answer that Airflow loses is asked for again, never assumed
            subject=f"Release {folder.name} {opened['version']}?",
            body=opened["evidence"],
            approvers=opened["approvers"],
            response_timeout=timedelta(hours=settings().approval_timeout_hours),
        )
        decided = record_decision(opened, approve.output)
        decided >> load_version(opened) >> switch_route(opened) >> settle(opened)
    return dag


globals().update(model_dags("release", release_dag))
