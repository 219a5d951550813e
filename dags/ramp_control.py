"""### Pause and resume: people at a ramp

`<model>_ramp_pause` keeps a release where it is: its traffic stays, its guardrails go on watching, nothing
goes further. It lowers risk, so nobody is asked; it needs a reason.

`<model>_ramp_resume` lets it go on; the time it was paused does not count. It raises risk: an approver of the
release says yes, not whoever triggers this run.

To go back now, trigger `<model>_rollback`: during a ramp it takes the new version's traffic away.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param

from include.config.models import ModelFolder
from include.config.settings import settings
from model_dags import model_dag, model_dags
from ramp_resumption import RampResumption
from stage_task import stage_task, triggered_by

PARAMS = {"reason": Param(None, type="string", minLength=1, description="Why; goes to the ledger")}


def pause_dag(folder: ModelFolder) -> DAG:
    """Build `<model>_ramp_pause`."""
    with model_dag(folder, "ramp_pause", room="rollout", doc=__doc__, params=PARAMS) as dag:

        @stage_task
        def pause(params: dict | None = None) -> None:
            """Keep the ramp where it is."""
            from include.adapters.ledger.ledger import Ledger
            from include.rollout.ramp_control import pause

            pause(Ledger(settings().ledger_uri), folder.name, by=triggered_by(), reason=params["reason"])

        pause()
    return dag


def resume_dag(folder: ModelFolder) -> DAG:
    """Build `<model>_ramp_resume`."""
    with model_dag(folder, "ramp_resume", room="rollout", doc=__doc__, params=PARAMS) as dag:
        RampResumption(
            task_id="approve",
            model=folder.name,
            response_timeout=timedelta(hours=settings().approval_timeout_hours),
        )
    return dag


globals().update(model_dags("ramp_pause", pause_dag) | model_dags("ramp_resume", resume_dag))
