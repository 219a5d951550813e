"""People at a ramp: the answer to a question, a pause, and its end."""

from datetime import datetime, timedelta
from enum import StrEnum

from include.adapters.ledger.ledger import Ledger
from include.contracts.errors import LedgerError
from include.contracts.ramps import Ramp, RampDecision, RampReason, RampVerdict
from include.contracts.releases import Release
from include.rollout.approval import may_approve
from include.rollout.ramp import RampTools, go_back, leave, moved


class Answer(StrEnum):
    """What a person may say to a ramp that holds."""

    EXTEND = "Extend"
    ROLL_BACK = "Roll back"
    PROMOTE = "Promote"


def answer(tools: RampTools, release: Release, choice: Answer, *, by: str, reason: str) -> Release:
    """Do what a person answered; where nobody is asked any more, nothing is done.

    Args:
        tools: what to work with.
        release: at a place that holds.
        choice: the answer.
        by: user name.
        reason: why, in writing; going on without evidence needs one.

    Raises:
        LedgerError: going on without a reason, while it is paused, or by somebody who is no approver of it.
        ConflictError: somebody moved it meanwhile.
    """
    ramp = release.ramp
    if release.stage.is_terminal or ramp is None or ramp.held is None:
        return release
    if choice is Answer.PROMOTE:
        check_may_raise(release, by, reason)
        if ramp.paused_at is not None:
            raise LedgerError(f"release {release.release_id} is paused; it goes on once it was resumed")
    decision = _by_hand(release, ramp, choice, by, reason)
    if choice is Answer.ROLL_BACK:
        return go_back(tools, release, by, decision)
    if choice is Answer.PROMOTE:
        return leave(tools.ledger, release, by, decision)
    return moved(tools.ledger, release, _extended(release, ramp, tools.ledger.now()), by, decision)


def pause(ledger: Ledger, model: str, *, by: str, reason: str) -> Release:
    """Keep a ramp where it is, guardrails watching; it lowers risk, so nobody is asked. Repeated, the same.

    Raises:
        LedgerError: no release of the model is on its ramp, or no reason is given.
        ConflictError: somebody moved it meanwhile.
    """
    release, ramp = _on_ramp(ledger, model, reason)
    if ramp.paused_at is not None:
        return release
    paused = ramp.model_copy(update={"paused_at": ledger.now()})
    return moved(ledger, release, paused, by, _note(ramp, RampReason.PAUSED_BY_HAND, by, reason))


def paused_release(ledger: Ledger, model: str) -> Release:
    """Return a model's release whose ramp is paused.

    Raises:
        LedgerError: there is none.
    """
    release = ledger.open_release_of(model)
    if release is None or release.ramp is None or release.ramp.paused_at is None:
        raise LedgerError(f"no release of {model} is paused on its ramp")
    return release


def may_resume(release: Release, asked_by: str) -> tuple[str, ...]:
    """Return the release's approvers but who asks.

    Raises:
        ContractError: nobody is left.
    """
    return may_approve(release.approvers, release.requested_by, asked_by)


def resume(ledger: Ledger, model: str, *, by: str, asked_by: str, reason: str) -> Release:
    """Let a paused ramp go on; the time it was paused does not count. Repeated, the same.

    Args:
        ledger: where it is written.
        model: the model.
        by: the approver who said yes: going on raises risk.
        asked_by: who asked for it, and may not approve it.
        reason: why; it is kept.

    Raises:
        LedgerError: no release of the model is on its ramp, `by` may not approve, or no reason is given.
        ConflictError: somebody moved it meanwhile.
    """
    release, ramp = _on_ramp(ledger, model, reason)
    if ramp.paused_at is None:
        return release
    if by not in may_resume(release, asked_by):
        raise LedgerError(f"release {release.release_id}: {by} may not let it go on for {asked_by}")
    gone = ledger.now() - ramp.paused_at
    resumed = ramp.model_copy(
        update={
            "paused_at": None,
            "due_at": ramp.due_at + gone,
            "answer_by": _later(ramp.answer_by, gone),
        }
    )
    return moved(ledger, release, resumed, by, _note(ramp, RampReason.RESUMED_BY_HAND, by, reason))


def check_may_raise(release: Release, by: str, reason: str) -> None:
    """Refuse what raises risk unless an approver of the release says why.

    Raises:
        LedgerError: not one of them, or no reason.
    """
    if by not in release.approvers:
        raise LedgerError(
            f"release {release.release_id}: {by} may not let it go on; its approvers are "
            f"{', '.join(release.approvers)}"
        )
    if not reason.strip():
        raise LedgerError(f"release {release.release_id}: going on without evidence needs a written reason")


def _extended(release: Release, ramp: Ramp, now: datetime) -> Ramp:
    due_at = now + release.plan.hold_at(ramp.place) * ramp.clock
    return ramp.model_copy(update={"held": None, "answer_by": None, "due_at": due_at})


def _by_hand(release: Release, ramp: Ramp, choice: Answer, by: str, reason: str) -> RampDecision:
    verdict, why = {
        Answer.EXTEND: (RampVerdict.WAIT, RampReason.EXTENDED_BY_HAND),
        Answer.ROLL_BACK: (RampVerdict.ROLLBACK, RampReason.ROLLED_BACK_BY_HAND),
        Answer.PROMOTE: (RampVerdict.PROMOTE, RampReason.PROMOTED_BY_HAND),
    }[choice]
    said = reason.strip() or "no reason given"
    detail = f"{release.plan.name_of(ramp.place)}: {why.value.replace('_', ' ')} by {by}: {said}"
    return RampDecision(verdict=verdict, reason=why, place=ramp.place, detail=detail)


def _note(ramp: Ramp, why: RampReason, by: str, reason: str) -> RampDecision:
    detail = f"{why.value.replace('_', ' ')} by {by}: {reason.strip()}"
    return RampDecision(verdict=RampVerdict.WAIT, reason=why, place=ramp.place, detail=detail)


def _on_ramp(ledger: Ledger, model: str, reason: str) -> tuple[Release, Ramp]:
    release = ledger.open_release_of(model)
    if release is None or release.ramp is None:
        raise LedgerError(f"no release of {model} is on its ramp")
    if not reason.strip():
        raise LedgerError(f"release {release.release_id}: a written reason, please")
    return release, release.ramp


def _later(moment: datetime | None, by: timedelta) -> datetime | None:
    return None if moment is None else moment + by
