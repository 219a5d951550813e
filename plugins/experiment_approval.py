"""The human's turn before a version gets the traffic of an experiment."""

from datetime import timedelta
from typing import Any

from include.config.experiments import ExperimentFile
from include.config.settings import settings
from named_approval import REASON, NamedApproval
from stage_task import as_of, readable, triggered_by


def proposal_of(file: ExperimentFile) -> Any:
    """Return what the present run proposes to start."""
    from airflow.sdk import get_current_context

    from include.adapters.ledger.ledger import Ledger
    from include.experiments.propose import propose

    underpowered = get_current_context()["params"]["underpowered"]
    return propose(settings(), Ledger(settings().ledger_uri), file, as_of(), underpowered=underpowered)


def approvers_of(file: ExperimentFile, proposal: Any) -> tuple[str, ...]:
    """Return who may answer: neither who asked for a version's training nor who triggered this run."""
    from include.contracts.requesters import joined_requesters
    from include.rollout.approval import may_approve

    approvers = file.folder.contract.approvers
    requested_by = joined_requesters(version.requested_by for version in proposal.treatments)
    return may_approve(approvers.users, requested_by, triggered_by(), approvers.quorum)


class ExperimentApproval(NamedApproval):
    """Show what an experiment would do to its approvers and write their answer to the ledger.

    The answer is bound to the plan's hash and the artefact's. One that is in the ledger already is not asked
    for again.

    Args:
        file: the experiment's file.
        response_timeout: how long the answer may take.
    """

    def __init__(self, *, file: ExperimentFile, response_timeout: timedelta, **kwargs: Any) -> None:
        super().__init__(
            subject=f"Start experiment {file.name}?", response_timeout=response_timeout, asks=REASON, **kwargs
        )
        self.file = file

    @readable
    def execute(self, context: Any) -> None:
        """Name the approvers, show the plan, then wait.

        Raises:
            AirflowFailException: it cannot start, or nobody is left to approve.
        """
        from include.adapters.ledger.ledger import Ledger
        from include.contracts.releases import Decision
        from include.experiments.answers import answered
        from include.experiments.evidence import evidence_of
        from include.experiments.start import running

        ledger, model = Ledger(settings().ledger_uri), self.file.folder.name
        if running(ledger, self.file) is not None:
            self.log.info("experiment %s runs already", self.file.plan.salt)
            return
        proposal = proposal_of(self.file)
        given = answered(ledger, model, proposal)
        quorum = self.file.folder.contract.approvers.quorum
        if len(given) >= quorum or Decision.REJECTED in given.values():
            self.log.info("experiment %s was answered: %s", self.file.plan.salt, given)
            return
        asked = [user for user in approvers_of(self.file, proposal) if user not in given]
        self.ask_on_evidence(context, model, evidence_of(self.file, proposal), asked)

    @readable
    def execute_complete(self, context: Any, event: dict[str, Any], evidence_sha256: str) -> None:
        """Write the answer to the ledger.

        Raises:
            AirflowFailException: the ledger refuses it; Airflow's record of the answer stays.
        """
        from include.adapters.ledger.ledger import Ledger
        from include.contracts.releases import Decision
        from include.experiments.answers import record_answer

        answer = self.answered(context, event)
        proposal = proposal_of(self.file)
        record_answer(
            Ledger(settings().ledger_uri),
            self.file.folder.name,
            proposal,
            Decision.APPROVED if answer.approved else Decision.REJECTED,
            approvers=approvers_of(self.file, proposal),
            decided_by=answer.by,
            decided_at=answer.at,
            evidence_sha256=evidence_sha256,
            reason=answer.reason,
        )
