"""### Release: one version on its way to all traffic

1. `open_release`: a version that was compared with another champion than the present one is evaluated again,
   on the same rows. Plan, thresholds and the contract's hash are copied into the ledger; a second release of
   the same model is refused with who holds the first.
2. `approve`: named approvers see the evidence, and their answer goes to the ledger, bound to the artefact's
   hash. Who asked for the training or triggered this run may not answer; when time runs out the answer is no.
   With a quorum, `approve_2` and so on ask the others, one after the other.
3. `is_approved`: goes on only where the ledger holds the approval. A no ends the release here. 4.
`load_version`: into every Triton, every byte checked, golden predictions compared. 5. `shadow`,
`ramp_to_<percent>`, `switch_route` (all traffic), `bake`: the places of the contract's plan. Each
   gives the version its traffic, release and route in one transaction, waits without a worker until its time
   is over and its requests have come, and decides by the guardrails. Harm goes back at once; evidence that is
   missing asks a person: extend, roll back, or promote with a written reason. The ledger says where the ramp
   stands: a killed task goes on from there. `<model>_ramp_pause`, `<model>_ramp_resume` and
   `<model>_rollback` are for people.
6. `settle`: the registry's alias and Triton's loaded models follow the ledger.

Where the champion gives way while the question is open, a yes is void: the release ends as outdated, and
`ask_again` opens another run, which evaluates against the present champion.
"""

from datetime import timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, XComArg, chain, get_current_context, task

from include.config.models import ModelFolder
from include.config.settings import settings
from include.contracts.ramps import SHADOW_PLACE
from model_dags import model_dag, model_dags
from ramp_stage import CLOCK, RampStage
from release_approval import ReleaseApproval, release_id
from stage_task import asked_at, readable, requested_by, stage_task

PARAMS = {
    "version": Param(None, type="string", description="Semantic version to release"),
    "requested_by": Param(None, type=["null", "string"], description="Who asked for it, if the system does"),
    CLOCK: Param(
        1.0,
        type="number",
        exclusiveMinimum=0,
        maximum=1,
        description="What the plan's times are multiplied by, in a replay; never its requests",
    ),
}


def this_release(folder: ModelFolder) -> str:
    """Return the id of the release the present run is about."""
    return release_id(folder.name, get_current_context())


def release_dag(folder: ModelFolder) -> DAG:
    """Build `<model>_release`."""
    contract = folder.contract
    with model_dag(folder, "release", room="rollout", doc=__doc__, params=PARAMS, at_once=16) as dag:

        @stage_task
        def open_release(params: dict | None = None) -> str:
            """Compare the version with the present champion, then open the release; returns its id."""
            from include.adapters.ledger.ledger import Ledger
            from include.evaluation.reassess import reassess
            from include.rollout.open import open_release

            ledger = Ledger(settings().ledger_uri)
            version = ledger.known_version(folder.name, params["version"])
            return open_release(
                ledger,
                contract,
                version.version,
                release_id=this_release(folder),
                triggered_by=requested_by(),
                # In one step: handed on through XCom, it could be another version's report.
                assessment=reassess(settings(), folder, version, ledger.champion(folder.name), asked_at()),
            ).release_id

        @task.short_circuit(ignore_downstream_trigger_rules=True)
        @readable
        def is_approved() -> bool:
            """Look into the ledger; a no stops the run here."""
            from include.adapters.ledger.ledger import Ledger
            from include.rollout.approval import is_approved

            return is_approved(Ledger(settings().ledger_uri), this_release(folder))

        @stage_task
        def load_version() -> None:
            """Load the version into every Triton and compare its golden predictions there."""
            from include.adapters.ledger.ledger import Ledger
            from include.adapters.triton_control import every_triton
            from include.rollout.approval import existing_release
            from include.rollout.load import load_release

            ledger = Ledger(settings().ledger_uri)
            release = existing_release(ledger, this_release(folder))
            load_release(settings(), ledger, every_triton(settings()), release)

        @stage_task
        def settle() -> None:
            """Bring Triton and the registry in line with the ledger."""
            from include.commands.reconcile import reconcile

            reconcile(settings(), folder.name)

        answered = answers(folder, dag, open_release())
        chain(answered, is_approved(), load_version(), *places(folder), settle())
    return dag


def places(folder: ModelFolder) -> list[RampStage]:
    """Return a task for each place of the contract's plan; the last sees to all that the ledger has left."""
    plan = folder.contract.rollout
    names = {SHADOW_PLACE: "shadow", plan.full_place: "switch_route", plan.bake_place: "bake"}
    last = plan.bake_place if plan.bake or plan.labels else plan.full_place
    return [
        RampStage(
            task_id=names.get(place) or f"ramp_to_{plan.share_at(place) * 100:g}".replace(".", "_"),
            model=folder.name,
            until=None if place == last else place,
            retries=20,  # a Triton that is away, a ledger that is locked: the ramp is not left unwatched
        )
        for place in range(plan.first_place, last + 1)
    ]


def answers(folder: ModelFolder, dag: DAG, opened: XComArg) -> ReleaseApproval:
    """Ask as many people as must agree, and anew where the champion gave way; returns the last question."""

    @task.short_circuit
    @readable
    def is_outdated() -> bool:
        """Look into the ledger; goes on only where a yes came too late for its champion."""
        from include.adapters.ledger.ledger import Ledger
        from include.contracts.releases import ReleaseStage
        from include.rollout.approval import existing_release

        release = existing_release(Ledger(settings().ledger_uri), this_release(folder))
        return release.stage is ReleaseStage.OUTDATED

    questions = [
        ReleaseApproval(
            task_id="approve" if number == 1 else f"approve_{number}",
            retries=5,  # an answer that Airflow loses is asked for again, never assumed
            model=folder.name,
            response_timeout=timedelta(hours=settings().approval_timeout_hours),
        )
        for number in range(1, folder.contract.approvers.quorum + 1)
    ]
    ask_again = TriggerDagRunOperator(
        task_id="ask_again",
        trigger_dag_id=dag.dag_id,
        trigger_run_id="again__{{ run_id }}",
        skip_when_already_exists=True,  # a retry asks for the release it has asked for
        conf={
            "version": "{{ params.version }}",
            "requested_by": "{{ dag_run.triggering_user_name or params.requested_by or '' }}",
        },
    )
    chain(opened, *questions, is_outdated(), ask_again)
    return questions[-1]


globals().update(model_dags("release", release_dag))
