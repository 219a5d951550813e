"""The human's turn in a release."""

from datetime import timedelta
from typing import Any

from include.config.settings import settings
from named_approval import REASON, NamedApproval
from stage_task import readable


def release_id(model: str, context: Any) -> str:
    """Return the id of the release that a run is about; a run is about exactly one."""
    return f"{model}-{context['run_id']}"


class ReleaseApproval(NamedApproval):
    """Show a release's evidence to its approvers and write their answer to the ledger.

    What was shown stays in the artefact store under the hash that the answer carries. An answer that is in
    the ledger already is not asked for again.

    Args:
        model: whose release it is.
        response_timeout: how long the answer may take.
    """

    def __init__(self, *, model: str, response_timeout: timedelta, **kwargs: Any) -> None:
        super().__init__(
            subject=f"Release {model}?", response_timeout=response_timeout, asks=REASON, **kwargs
        )
        self.model = model

    @readable
    def execute(self, context: Any) -> None:
        """Name the approvers, show the evidence, then wait.

        Raises:
            AirflowFailException: the ledger knows no such release, or its package is damaged.
            ValueError: nobody is named.
        """
        from include.adapters.artefact_home import artefact_store
        from include.adapters.ledger.ledger import Ledger
        from include.contracts.releases import ReleaseStage
        from include.rollout.approval import existing_release, follow_answers
        from include.rollout.evidence import evidence_of

        ledger = Ledger(settings().ledger_uri)
        release = follow_answers(ledger, existing_release(ledger, release_id(self.model, context)))
        if release.stage is not ReleaseStage.AWAITING_APPROVAL:
            self.log.info("release %s is %s already", release.release_id, release.stage.value)
            return
        self.subject = f"Release {release.model} {release.version}?"
        body = evidence_of(ledger, artefact_store(settings()), release)
        answered = {answer.decided_by for answer in ledger.approvals(release.release_id)}
        asked = [user for user in release.approvers if user not in answered]
        self.ask_on_evidence(context, release.model, body, asked)

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

        answer = self.answered(context, event)
        record_decision(
            Ledger(settings().ledger_uri),
            artefact_store(settings()),
            release_id(self.model, context),
            Decision.APPROVED if answer.approved else Decision.REJECTED,
            decided_by=answer.by,
            decided_at=answer.at,
            evidence_sha256=evidence_sha256,
            reason=answer.reason,
        )
