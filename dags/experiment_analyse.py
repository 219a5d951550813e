"""### Analysis of an experiment

1. `analyse`: exposures from the prediction log, outcomes from the outcome log and the label store. The
   sample ratio comes first; then, where a planned share of the information has matured, a look at the primary
   metric against its bounds; guardrails and the models' health. The verdict goes to the ledger with every
   figure, the page to the artefact store. Skipped where the experiment was never started.
2. `act`: ROLLBACK takes the treatment's traffic away; every verdict but CONTINUE raises an alert, since a
   person decides.
3. `settle`: Triton and the registry follow the ledger.

It runs by itself while its experiment does. A run looks only where the plan has a look; set `extra_look` to
look now: it costs alpha like any other. Two runs as of the same moment are one analysis.
"""

from airflow.sdk import DAG, Param
from airflow.sdk.exceptions import AirflowSkipException

from experiment_dags import cron_while_running, experiment_dags
from include.config.experiments import ExperimentFile
from include.config.settings import settings
from model_dags import model_dag
from stage_task import AS_OF, as_of, stage_task, triggered_by

PARAMS = {
    "as_of": AS_OF,
    "extra_look": Param(False, type="boolean", description="Look now, though no look is due; it costs alpha"),
}


def analyse_dag(file: ExperimentFile) -> DAG:
    """Build `<experiment>_analyse`."""
    with model_dag(
        file.folder,
        "analyse",
        room="experiments",
        doc=f"{__doc__}\n**{file.plan.name}**: {file.plan.description}\n",
        params=PARAMS,
        cron=cron_while_running(file),
        of=file.name,
    ) as dag:

        @stage_task
        def analyse(params: dict | None = None) -> str:
            """Analyse as of the run's moment; returns the verdict."""
            from include.adapters.ledger.ledger import Ledger
            from include.experiments.analyse import analyse

            ledger = Ledger(settings().ledger_uri)
            known = ledger.experiments(file.folder.name, file.name)
            if not known:
                raise AirflowSkipException(f"{file.name} was never started")
            return analyse(
                settings(),
                ledger,
                file.folder,
                known[-1].experiment_id,
                as_of(),
                actor=triggered_by(),
                extra_look=params["extra_look"],
            ).verdict.value

        @stage_task
        def act() -> str:
            """Carry the verdict out; returns how the experiment stands."""
            from include.adapters.ledger.ledger import Ledger
            from include.experiments.act import act

            ledger = Ledger(settings().ledger_uri)
            experiment = ledger.experiments(file.folder.name, file.name)[-1]
            analysis = ledger.analysis_as_of(file.folder.name, experiment.experiment_id, as_of())
            return act(ledger, experiment, analysis, actor=triggered_by()).state.value

        @stage_task
        def settle() -> None:
            """Bring Triton and the registry in line with the ledger."""
            from include.commands.reconcile import reconcile

            reconcile(settings(), file.folder.name)

        analyse() >> act() >> settle()
    return dag


globals().update(experiment_dags("analyse", analyse_dag))
