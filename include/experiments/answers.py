"""Answers to the question whether an experiment may start, bound to its plan and its artefact."""

from datetime import datetime

from include.adapters.ledger.ledger import Ledger
from include.contracts.errors import ExperimentError
from include.contracts.experiments import ExperimentAnswer
from include.contracts.releases import Decision
from include.experiments.propose import Proposal


def record_answer(
    ledger: Ledger,
    model: str,
    proposal: Proposal,
    decision: Decision,
    *,
    approvers: tuple[str, ...],
    decided_by: str | None,
    decided_at: datetime,
    evidence_sha256: str,
    reason: str | None = None,
) -> ExperimentAnswer:
    """Record an answer; given again by a rerun task, it changes nothing.

    Args:
        ledger: where it is written.
        model: the model.
        proposal: what was asked.
        decision: the answer.
        approvers: who may answer.
        decided_by: user name; None when time ran out, which is only ever a no.
        decided_at: when it was given.
        evidence_sha256: hash of the text that was shown.
        reason: what the person wrote, if anything.

    Raises:
        ExperimentError: this person may not answer.
        LedgerError: a yes of nobody.
    """
    if decided_by is not None and decided_by not in approvers:
        raise ExperimentError(
            f"{proposal.plan.salt}: {decided_by} may not answer; its approvers are {', '.join(approvers)}"
        )
    first, *further = proposal.tried
    return ledger.record_experiment_answer(
        ExperimentAnswer(
            experiment_id=proposal.plan.salt,
            model=model,
            plan_sha256=proposal.plan.sha256,
            treatment_version=first.version,
            treatment_sha256=first.sha256,
            further=tuple(further),
            decision=decision,
            decided_by=decided_by,
            decided_at=decided_at,
            evidence_sha256=evidence_sha256,
            reason=reason,
        )
    )


def answered(ledger: Ledger, model: str, proposal: Proposal) -> dict[str, Decision]:
    """Return the answers of people to this plan and this artefact, by who gave them; a deadline is nobody."""
    asked = proposal.plan.sha256, proposal.tried
    return {
        answer.decided_by: answer.decision
        for answer in ledger.experiment_answers(model, proposal.plan.salt)
        if answer.decided_by is not None and (answer.plan_sha256, answer.treatments) == asked
    }


def yeses(ledger: Ledger, model: str, proposal: Proposal, approvers: tuple[str, ...]) -> tuple[str, ...]:
    """Return who of the approvers said yes; nobody where somebody said no."""
    given = answered(ledger, model, proposal)
    if any(decision is not Decision.APPROVED for decision in given.values()):
        return ()
    return tuple(name for name in given if name in approvers)
