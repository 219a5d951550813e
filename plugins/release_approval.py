"""The human's turn in a release."""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import TaskAwaitingInput

from include.config.settings import settings
from stage_task import readable

APPROVE = "Approve"
REJECT = "Reject"


def release_id(model: str, context: Any) -> str:
    """Return the id of the release that a run is about; a run is about exactly one."""
    return f"{model}-{context['run_id']}"


class ReleaseApproval(HITLOperator):
    """Show a release's evidence to its approvers and write their answer to the ledger.

    What is asked, who may answer and what they see come from the ledger and the artefact store; the
    answer and its author come from Airflow's own record of the response. Nothing passes through XCom,
    which whoever may edit a DAG can write, and a task marked as successful by hand records nothing. What was
    shown stays in the artefact store under the hash that the answer carries.

    When time runs out the answer is no. An answer that Airflow loses is asked for again, never assumed;
    one that is in the ledger already is not asked for again.

    Args:
        model: whose release it is.
        response_timeout: how long the answer may take.
    """

    def __init__(self, *, model: str, response_timeout: timedelta, **kwargs: Any) -> None:
        kwargs.pop(
            "params", None
        )  # the DAG's own, which Airflow hands to every task; they are not for approvers
        super().__init__(
            subject=f"Release {model}?",
            options=[APPROVE, REJECT],
            defaults=REJECT,
            response_timeout=response_timeout,
            params={"reason": Param(None, type=["null", "string"], description="Why; goes to the ledger")},
            **kwargs,
        )
        self.model = model

    @readable
    def execute(self, context: Any) -> None:
        """Name the approvers, show the evidence, then wait.

        Raises:
            AirflowFailException: the ledger knows no such release, or its package is damaged.
            ValueError: nobody is named; without assigned users Airflow would let anybody answer.
        """
        from include.adapters.artefact_home import artefact_store
        from include.adapters.evidence import publish_evidence
        from include.adapters.ledger.ledger import Ledger
        from include.contracts.releases import ReleaseStage
        from include.rollout.approval import existing_release, follow_answers
        from include.rollout.evidence import evidence_of

        ledger = Ledger(settings().ledger_uri)
        release = follow_answers(ledger, existing_release(ledger, release_id(self.model, context)))
        if release.stage is not ReleaseStage.AWAITING_APPROVAL:
            self.log.info("release %s is %s already", release.release_id, release.stage.value)
            return
        if not release.approvers:
            raise ValueError("a release needs at least one approver")
        self.subject = f"Release {release.model} {release.version}?"
        store = artefact_store(settings())
        self.body = evidence_of(ledger, store, release)
        answered = {answer.decided_by for answer in ledger.approvals(release.release_id)}
        asked = [user for user in release.approvers if user not in answered]
        self.assigned_users = [{"id": user, "name": user} for user in asked]
        shown = publish_evidence(store, release.model, self.body)
        try:
            super().execute(context)
        except TaskAwaitingInput as parked:
            # Kept by Airflow beside the state of the waiting task, not as XCom.
            kwargs = {"evidence_sha256": shown}
            raise TaskAwaitingInput(
                method_name=parked.method_name, kwargs=kwargs, timeout=parked.timeout
            ) from None

    @readable
    def execute_complete(self, context: Any, event: dict[str, Any], evidence_sha256: str) -> None:
        """Write the answer to the ledger.

        Raises:
            AirflowFailException: the ledger refuses it; Airflow's record of the answer stays.
        """
        from include.adapters.artefact_home import artefact_store
        from include.adapters.ledger.ledger import Ledger
        from include.contracts.releases import Decision
        from include.rollout.approval import record_decision

        super().execute_complete(context, event)
        user = event["responded_by_user"]
        record_decision(
            Ledger(settings().ledger_uri),
            artefact_store(settings()),
            release_id(self.model, context),
            Decision.APPROVED if event["chosen_options"] == [APPROVE] else Decision.REJECTED,
            decided_by=user["name"] if user else None,
            decided_at=event["responded_at"],
            evidence_sha256=evidence_sha256,
            reason=(event["params_input"] or {}).get("reason"),
        )
