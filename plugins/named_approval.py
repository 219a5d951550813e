"""A yes or no of named people: shown to them and nobody else, answered in Airflow, kept by who asks.

What is asked, who may answer and what they see come from the ledger and the artefact store; the answer and
its author come from Airflow's own record of the response. Nothing passes through XCom, which whoever may edit
a DAG can write, and a task marked as successful by hand records nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import TaskAwaitingInput

from include.config.settings import settings

APPROVE = "Approve"
REJECT = "Reject"
REASON = {"reason": Param(None, type=["null", "string"], description="Why; goes to the ledger")}
"""What an approver may write besides."""


@dataclass(frozen=True)
class Answered:
    """An answer as Airflow recorded it."""

    approved: bool
    by: str | None
    """User name; None when time ran out, which is only ever a no."""
    at: datetime
    reason: str | None


class NamedApproval(HITLOperator):
    """Ask named people; when time runs out the answer is no.

    An answer that Airflow loses is asked for again, never assumed: give it retries.

    Args:
        subject: the question.
        response_timeout: how long the answer may take.
        asks: what an answer may hold besides yes and no.
    """

    def __init__(
        self,
        *,
        subject: str,
        response_timeout: timedelta,
        asks: dict[str, Param] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("params", None)  # the DAG's own, which Airflow hands to every task: not for approvers
        super().__init__(
            subject=subject,
            options=[APPROVE, REJECT],
            defaults=REJECT,
            response_timeout=response_timeout,
            **({"params": asks} if asks else {}),
            **kwargs,
        )

    def ask(self, context: Any, body: str, users: Iterable[str]) -> None:
        """Show a text to people and wait.

        Raises:
            ValueError: nobody is named; without assigned users Airflow would let anybody answer.
            TaskAwaitingInput: always, once it is asked.
        """
        self.body = body
        self.assigned_users = [{"id": user, "name": user} for user in users]
        if not self.assigned_users:
            raise ValueError(f"{self.subject} Nobody is named who may answer")
        super().execute(context)

    def ask_on_evidence(self, context: Any, model: str, body: str, users: Iterable[str]) -> None:
        """Ask, and keep what was shown in the artefact store under the hash that the answer will carry.

        Raises:
            ValueError, TaskAwaitingInput: as `ask`.
        """
        from include.adapters.artefact_home import artefact_store
        from include.adapters.evidence import publish_evidence

        shown = publish_evidence(artefact_store(settings()), model, body)
        try:
            self.ask(context, body, users)
        except TaskAwaitingInput as parked:
            # Kept by Airflow beside the state of the waiting task, not as XCom.
            kwargs = {"evidence_sha256": shown}
            raise TaskAwaitingInput(
                method_name=parked.method_name, kwargs=kwargs, timeout=parked.timeout
            ) from None

    def answered(self, context: Any, event: dict[str, Any]) -> Answered:
        """Return the answer, as Airflow recorded it."""
        super().execute_complete(context, event)
        user = event["responded_by_user"]
        return Answered(
            approved=event["chosen_options"] == [APPROVE],
            by=user["name"] if user else None,
            at=event["responded_at"],
            reason=(event["params_input"] or {}).get("reason"),
        )
