"""The human's turn before a paused ramp goes on."""

from datetime import timedelta
from typing import Any

from include.config.settings import settings
from include.contracts.events import SYSTEM
from named_approval import NamedApproval
from stage_task import readable


class RampResumption(NamedApproval):
    """Ask an approver of the release on its ramp, other than who triggered the run, then let it go on.

    When time runs out the answer is no, and the ramp stays paused.

    Args:
        model: whose ramp it is.
        response_timeout: how long the answer may take.
    """

    def __init__(self, *, model: str, response_timeout: timedelta, **kwargs: Any) -> None:
        super().__init__(subject=f"Resume the ramp of {model}?", response_timeout=response_timeout, **kwargs)
        self.model = model

    @readable
    def execute(self, context: Any) -> None:
        """Name who may answer, show where the ramp stands, then wait.

        Raises:
            AirflowFailException: no release of the model is paused, or nobody is left to answer.
        """
        from include.adapters.ledger.ledger import Ledger
        from include.contracts.errors import LedgerError
        from include.rollout.ramp_control import may_resume, paused_release

        try:
            release = paused_release(Ledger(settings().ledger_uri), self.model)
        except LedgerError as error:
            if context["task_instance"].try_number == 1:
                raise
            # Airflow lost that a try before this one had let it go on.
            self.log.info("%s any more", error)
            return
        who = context["dag_run"].triggering_user_name or SYSTEM
        self.subject = f"Resume the ramp of {release.model} {release.version}?"
        place = release.plan.name_of(release.ramp.place)
        body = f"Paused at {place}. {who} asks: {context['params']['reason']}"
        self.ask(context, body, may_resume(release, who))

    @readable
    def execute_complete(self, context: Any, event: dict[str, Any]) -> None:
        """Let it go on where an approver said yes.

        Raises:
            AirflowFailException: the ledger refuses it.
        """
        from include.adapters.ledger.ledger import Ledger
        from include.rollout.ramp_control import resume

        answer = self.answered(context, event)
        if not answer.approved or answer.by is None:
            self.log.info("not approved: the ramp stays paused")
            return
        asked = context["dag_run"].triggering_user_name or SYSTEM
        resume(
            Ledger(settings().ledger_uri),
            self.model,
            by=answer.by,
            asked_by=asked,
            reason=context["params"]["reason"],
        )
