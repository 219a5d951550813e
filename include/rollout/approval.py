"""Approval: who may say yes, and a yes that is bound to what was shown."""

from datetime import datetime

from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.packages import load_manifest
from include.contracts.errors import ArtefactError, ConflictError, ContractError, LedgerError
from include.contracts.events import SYSTEM
from include.contracts.releases import Approval, Decision, Release, ReleaseStage
from include.contracts.requesters import is_requester

_APPROVED = frozenset(
    {
        ReleaseStage.APPROVED,
        ReleaseStage.LOADED,
        ReleaseStage.RAMPING,
        ReleaseStage.BAKING,
        ReleaseStage.PROMOTED,
    }
)


def may_approve(
    approvers: tuple[str, ...], requested_by: str, triggered_by: str, quorum: int = 1
) -> tuple[str, ...]:
    """Return the approvers who neither asked for the training nor triggered the release.

    Several may have asked (`joined_requesters`). `system` asks and triggers without excluding anybody.

    Raises:
        ContractError: fewer are left than must agree.
    """
    left = tuple(
        name
        for name in approvers
        if name == SYSTEM or (name != triggered_by and not is_requester(name, requested_by))
    )
    if len(left) < max(quorum, 1):
        raise ContractError(
            f"of the approvers {', '.join(approvers)} only {', '.join(left) or 'nobody'} may approve what "
            f"{requested_by} requested and {triggered_by} triggered, but {quorum} must; name more "
            "under approvers.users, or let somebody else trigger it"
        )
    return left


def record_decision(
    ledger: Ledger,
    store: ArtefactStore,
    release_id: str,
    decision: Decision,
    *,
    decided_by: str | None,
    decided_at: datetime,
    evidence_sha256: str,
    reason: str | None = None,
) -> Release:
    """Record an answer and move the release where it leads: approved, rejected, or waiting for more.

    A yes to a comparison with a champion that has given way since is not recorded: the release ends as
    outdated, so that the version is evaluated and asked about anew.

    Given again by a rerun task, the same answer changes nothing.

    Args:
        ledger: where it is written.
        store: holds the package, which is proven again before a yes counts.
        release_id: the release that was asked about.
        decision: the answer.
        decided_by: user name; None when time ran out, which is only ever a no.
        decided_at: when it was given.
        evidence_sha256: hash of the text that was shown.
        reason: what the person wrote, if anything.

    Raises:
        LedgerError: there is no such release, or this person may not answer it.
        ConflictError: the artefact that was shown is not the one that would be released.
        ArtefactError: the package was altered since; the release ends.
    """
    release = existing_release(ledger, release_id)
    approval = Approval(
        release_id=release_id,
        model=release.model,
        version=release.version,
        artefact_sha256=release.artefact_sha256,
        decision=decision,
        decided_by=decided_by,
        decided_at=decided_at,
        evidence_sha256=evidence_sha256,
        reason=reason,
    )
    check_answer(release, approval)
    if release.stage is ReleaseStage.AWAITING_APPROVAL and decision is Decision.APPROVED:
        check_artefact(ledger, release)
        _prove_package(ledger, store, release)
        champion = ledger.champion_version(release.model)
        if champion != release.champion_version:
            return _outdate(ledger, release, champion, decided_by)
    ledger.record_approval(approval)
    return follow_answers(ledger, release)


def existing_release(ledger: Ledger, release_id: str) -> Release:
    """Return a release.

    Raises:
        LedgerError: there is none under this id.
    """
    release = ledger.release(release_id)
    if release is None:
        raise LedgerError(f"the ledger has no release {release_id!r}")
    return release


def is_approved(ledger: Ledger, release_id: str) -> bool:
    """Return whether a release may go on: True once approved, False once rejected or outdated.

    Raises:
        LedgerError: there is no such release, its answer is not in the ledger, or it has ended.
    """
    release = existing_release(ledger, release_id)
    if release.stage in _APPROVED:
        return True
    if release.stage in {ReleaseStage.REJECTED, ReleaseStage.OUTDATED}:
        return False
    why = ledger.why_ended(release_id)
    raise LedgerError(
        f"release {release_id} is {release.stage.value}{f' ({why})' if why else ''}: without an approval in "
        "the ledger it cannot go on"
    )


def check_answer(release: Release, approval: Approval) -> None:
    """Refuse an answer of somebody who may not give it.

    Raises:
        LedgerError: not one of the release's approvers, or a yes of nobody.
    """
    if approval.decided_by is None:
        if approval.decision is Decision.APPROVED:
            raise LedgerError(f"release {release.release_id}: when time runs out the answer is no")
    elif approval.decided_by not in release.approvers:
        raise LedgerError(
            f"release {release.release_id}: {approval.decided_by} may not answer; "
            f"its approvers are {', '.join(release.approvers)}"
        )


def check_unchanged(ledger: Ledger, release: Release) -> None:
    """Refuse to go on where artefact or champion are not those the release was opened with.

    Raises:
        ConflictError: names what changed.
    """
    check_artefact(ledger, release)
    champion = ledger.champion_version(release.model)
    if champion != release.champion_version:
        raise ConflictError(
            f"release {release.release_id}: {release.version} was compared with champion "
            f"{release.champion_version}, which is now {champion}; open another release, which evaluates it "
            "again"
        )


def check_artefact(ledger: Ledger, release: Release) -> None:
    """Refuse to go on where the version is not the artefact the release was opened with.

    Raises:
        ConflictError: says which version.
    """
    row = ledger.version(release.model, release.version)
    if row is None or row.artefact_sha256 != release.artefact_sha256:
        raise ConflictError(f"release {release.release_id}: the artefact of {release.version} changed")


def _prove_package(ledger: Ledger, store: ArtefactStore, release: Release) -> None:
    """Read every byte of the package again; one that is not what was shown ends the release."""
    try:
        load_manifest(store, ledger.known_version(release.model, release.version))
    except ArtefactError as error:
        ledger.abandon(release.model, actor=SYSTEM, reason=str(error), release_id=release.release_id)
        raise


def _outdate(ledger: Ledger, release: Release, champion: str | None, decided_by: str | None) -> Release:
    return ledger.advance_release(
        release.release_id,
        release.revision,
        ReleaseStage.OUTDATED,
        actor=decided_by or SYSTEM,
        reason=(
            f"the yes is void: {release.version} was compared with champion {release.champion_version}, "
            f"which is now {champion}; it is evaluated again"
        ),
    )


def follow_answers(ledger: Ledger, release: Release) -> Release:
    """Move a release that waits to where the answers given so far lead; without any, it waits on."""
    answers = ledger.approvals(release.release_id)
    refusals = [answer for answer in answers if answer.decision is Decision.REJECTED]
    if release.stage is not ReleaseStage.AWAITING_APPROVAL:
        return release
    if not refusals and len(answers) < release.quorum:
        return release
    deciding = (refusals or answers)[-1]
    return ledger.advance_release(
        release.release_id,
        release.revision,
        ReleaseStage.REJECTED if refusals else ReleaseStage.APPROVED,
        actor=deciding.decided_by or SYSTEM,
        reason=deciding.reason,
    )
