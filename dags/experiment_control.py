"""### Control of an experiment

One run does one thing, named by `action`:

- `read` tells how the experiment stands; before its start, how many units and days it would take.
- `start` refuses a plan that cannot reach its power in time (unless `underpowered`), asks the contract's
  approvers, loads the version into every Triton, then hashes the plan into the ledger, takes the model's
  lease and splits the traffic in one transaction.
- `advance` raises the share to the next one of the plan's ramp, which was approved with the plan.
- `stop` gives all traffic to the control and the lease back; it needs a `reason` and nobody's yes.

Two runs with the same effect have it once. `<experiment>_analyse` says what came of it.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param, TriggerRule, XComArg, chain, task

from experiment_approval import ExperimentApproval, approvers_of, proposal_of
from experiment_dags import experiment_dags
from include.config.experiments import ExperimentFile
from include.config.settings import settings
from model_dags import model_dag
from stage_task import AS_OF, as_of, readable, requested_by, stage_task

ACTIONS = ("read", "start", "advance", "stop")
PARAMS = {
    "action": Param("read", type="string", enum=list(ACTIONS), description="What to do"),
    "reason": Param("", type="string", description="Why it is stopped; goes to the ledger"),
    "underpowered": Param(
        False, type="boolean", description="Start though it cannot reach its power in time"
    ),
    "as_of": AS_OF,
}


def control_dag(file: ExperimentFile) -> DAG:
    """Build `<experiment>_control`."""
    model = file.folder.name
    with model_dag(
        file.folder,
        "control",
        room="experiments",
        doc=f"{__doc__}\n**{file.plan.name}**: {file.plan.description}\n",
        params=PARAMS,
        of=file.name,
    ) as dag:

        @task.branch
        def choose(params: dict | None = None) -> str:
            """Go where `action` leads."""
            return "approve" if params["action"] == "start" else params["action"]

        @stage_task
        def read() -> dict:
            """Return how the experiment stands, or what it would take."""
            from include.adapters.ledger.ledger import Ledger
            from include.experiments.read import standing

            return standing(settings(), Ledger(settings().ledger_uri), file, as_of())

        @stage_task
        def advance() -> float:
            """Raise the share; returns it."""
            from include.adapters.ledger.ledger import Ledger
            from include.experiments.read import open_experiment
            from include.experiments.stop import advance

            ledger = Ledger(settings().ledger_uri)
            return advance(ledger, open_experiment(ledger, file), actor=requested_by()).share

        @stage_task
        def stop(params: dict | None = None) -> str:
            """Give all traffic back; returns how the experiment stands."""
            from include.adapters.ledger.ledger import Ledger
            from include.experiments.read import last_experiment
            from include.experiments.stop import stop

            ledger = Ledger(settings().ledger_uri)
            experiment = last_experiment(ledger, file)
            return stop(ledger, experiment, actor=requested_by(), reason=params["reason"]).state.value

        @stage_task
        def settle() -> None:
            """Bring Triton and the registry in line with the ledger."""
            from include.commands.reconcile import reconcile

            reconcile(settings(), model)

        chosen = choose()
        done = [started(file, chosen), advance(), stop()]
        chosen >> [read(), *done[1:]]
        done >> settle.override(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)()
    return dag


def started(file: ExperimentFile, chosen: XComArg) -> XComArg:
    """Ask as many people as must agree, then start; returns the task that does."""
    model, quorum = file.folder.name, file.folder.contract.approvers.quorum

    @task.short_circuit(ignore_downstream_trigger_rules=False)
    @readable
    def is_approved() -> bool:
        """Look into the ledger; a no stops the run here."""
        from include.adapters.ledger.ledger import Ledger
        from include.experiments.answers import yeses
        from include.experiments.start import running

        ledger = Ledger(settings().ledger_uri)
        if running(ledger, file) is not None:
            return True
        proposal = proposal_of(file)
        given = yeses(ledger, model, proposal, approvers_of(file, proposal))
        return len(given) >= quorum

    @stage_task
    def start() -> str:
        """Load the version, split the traffic; returns the experiment's id."""
        from include.adapters.ledger.ledger import Ledger
        from include.adapters.triton_control import every_triton
        from include.experiments.start import running, start
        from include.rollout.load import load_version

        ledger = Ledger(settings().ledger_uri)
        known = running(ledger, file)
        if known is not None:
            return known.experiment_id
        proposal = proposal_of(file)
        for triton in every_triton(settings()):
            for version in proposal.treatments:
                load_version(settings(), triton, version)
        return start(
            settings(),
            ledger,
            file,
            proposal,
            as_of(),
            actor=requested_by(),
            approvers=approvers_of(file, proposal),
            quorum=quorum,
        ).experiment_id

    questions = [
        ExperimentApproval(
            task_id="approve" if number == 1 else f"approve_{number}",
            retries=5,  # an answer that Airflow loses is asked for again, never assumed
            file=file,
            response_timeout=timedelta(hours=settings().approval_timeout_hours),
        )
        for number in range(1, quorum + 1)
    ]
    begun = start()
    chain(chosen, *questions, is_approved(), begun)
    return begun


globals().update(experiment_dags("control", control_dag))
