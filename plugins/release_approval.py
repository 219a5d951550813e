"""The human's turn in a release."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param

APPROVE = "Approve"
REJECT = "Reject"


class ReleaseApproval(HITLOperator):
    """Show the evidence to named approvers and return their answer; when time runs out it is no.

    The provider's ApprovalOperator leaves no record of a rejection and skips whatever comes after it,
    so a no could not be written to the ledger: this one always returns an answer.

    Args:
        approvers: user names that may answer, usually another task's output; everybody else,
            administrators included, is refused by Airflow.
        response_timeout: how long the answer may take.

    Returns:
        `{"approved", "decided_by", "decided_at", "reason"}`; `decided_by` is None when time ran out.
    """

    template_fields: Collection[str] = (*HITLOperator.template_fields, "approvers")

    def __init__(self, *, approvers: Sequence[str], response_timeout: timedelta, **kwargs: Any) -> None:
        kwargs.pop(
            "params", None
        )  # the DAG's own, which Airflow hands to every task; they are not for approvers
        super().__init__(
            options=[APPROVE, REJECT],
            defaults=REJECT,
            response_timeout=response_timeout,
            params={"reason": Param(None, type=["null", "string"], description="Why; goes to the ledger")},
            **kwargs,
        )
        self.approvers = approvers

    def execute(self, context: Any) -> None:
        """Name the approvers, then wait.

        Raises:
            ValueError: nobody is named; without assigned users Airflow would let anybody answer.
        """
        if not self.approvers:
            raise ValueError("a release needs at least one approver")
        self.assigned_users = [{"id": user, "name": user} for user in self.approvers]
        super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Return the answer."""
        super().execute_complete(context, event)
        user = event["responded_by_user"]
        return {
            "approved": event["chosen_options"] == [APPROVE],
            "decided_by": user["id"] if user else None,
            "decided_at": event["responded_at"].isoformat(),
            "reason": (event["params_input"] or {}).get("reason"),
        }
