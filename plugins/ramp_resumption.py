"""The human's turn before a paused ramp goes on."""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator

from include.config.settings import settings
from include.contracts.events import SYSTEM
from release_approval import APPROVE, REJECT
from stage_task import readable


class RampResumption(HITLOperator):
    """Ask an approver of the release on its ramp, other than who triggered the run, then let it go on.

    Who is asked and what is shown come from the ledger, the answer and its author from Airflow's own record.
    When time runs out the answer is no, and the ramp stays paused.

    Args:
        model: whose ramp it is.
        response_timeout: how long the answer may take.
    """

    def __init__(self, *, model: str, response_timeout: timedelta, **kwargs: Any) -> None:
        kwargs.pop("params", None)  # the DAG's own, which Airflow hands to every task
        super().__init__(
            subject=f"Resume the ramp of {model}?",
            options=[APPROVE, REJECT],
            defaults=REJECT,
            response_timeout=response_timeout,
            **kwargs,
        )
        self.model = model

    @readable
    def execute(self, context: Any) -> None:
        """Name who may answer, show where the ramp stands, then wait.

        Raises:
            AirflowFailException: no release of the model is paused, or nobody is left to answer.
        """
        from include.adapters.ledger.ledger import Ledger
        from include.rollout.ramp_control import may_resume, paused_release

        release = paused_release(Ledger(settings().ledger_uri), self.model)
        who = context["dag_run"].triggering_user_name or SYSTEM
        self.assigned_users = [{"id": user, "name": user} for user in may_resume(release, who)]
        self.subject = f"Resume the ramp of {release.model} {release.version}?"
        place = release.plan.name_of(release.ramp.place)
        self.body = f"Paused at {place}. {who} asks: {context['params']['reason']}"
        super().execute(context)

    @readable
    def execute_complete(self, context: Any, event: dict[str, Any]) -> None:
        """Let it go on where an approver said yes.

        Raises:
            AirflowFailException: the ledger refuses it.
        """
        from include.adapters.ledger.ledger import Ledger
        from include.rollout.ramp_control import resume

        super().execute_complete(context, event)
        user = event["responded_by_user"]
        if event["chosen_options"] != [APPROVE] or user is None:
            self.log.info("not approved: the ramp stays paused")
            return
        asked = context["dag_run"].triggering_user_name or SYSTEM
        resume(
            Ledger(settings().ledger_uri),
            self.model,
            by=user["id"],
            asked_by=asked,
            reason=context["params"]["reason"],
        )
