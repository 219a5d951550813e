"""Approvals: who answered, when, and to exactly what."""

from datetime import UTC, datetime

from sqlalchemy import Connection, RowMapping, select

from include.adapters.ledger.journal import Journal
from include.adapters.ledger.tables import approvals, releases
from include.contracts.errors import ConflictError, LedgerError
from include.contracts.events import SYSTEM, EventKind
from include.contracts.releases import Approval, ReleaseStage, is_granted

_AT_ANY_TIME = datetime.max.replace(tzinfo=UTC)


class ApprovalLedger(Journal):
    """Reads and writes approvals."""

    def record_approval(self, approval: Approval) -> Approval:
        """Record an answer; the same person's same answer given again is returned as it was first.

        Raises:
            LedgerError: there is no such release, or its artefact is another.
            ConflictError: the release no longer waits for an answer, or this person answered otherwise.
        """
        with self._writing() as transaction:
            connection = transaction.connection
            for earlier in approvals_of_release(connection, approval.release_id):
                if earlier.decided_by == approval.decided_by:
                    return _same_answer(earlier, approval)
            _check_release(connection, approval)
            sequence = transaction.append(
                EventKind.APPROVAL_RECORDED,
                model=approval.model,
                subject=approval.release_id,
                actor=approval.decided_by or SYSTEM,
                payload=approval.model_dump(mode="json"),
            )
            connection.execute(approvals.insert().values(sequence=sequence, **approval.model_dump()))
            return approval

    def approvals(self, release_id: str) -> tuple[Approval, ...]:
        """Return a release's answers in the order they were given."""
        with self._reading() as connection:
            return approvals_of_release(connection, release_id)

    def approved(self, model: str, version: str) -> bool:
        """Say whether a release of a version ever had all the approvals it needs."""
        with self._reading() as connection:
            return bool(approvals_of_version(connection, model, version, _AT_ANY_TIME))


def approvals_of_release(connection: Connection, release_id: str) -> tuple[Approval, ...]:
    """Return a release's answers inside a transaction."""
    query = select(approvals).where(approvals.c.release_id == release_id).order_by(approvals.c.sequence)
    return tuple(_approval(row) for row in connection.execute(query).mappings())


def approvals_of_version(
    connection: Connection, model: str, version: str, until: datetime
) -> tuple[Approval, ...]:
    """Return the answers that had approved a version by a moment of wall time, in the order they were given.

    They are those of each release that had as many yeses as it needs, and no no.
    """
    query = (
        select(releases.c.release_id, releases.c.quorum)
        .where(releases.c.model == model, releases.c.version == version)
        .order_by(releases.c.opened_at)
    )
    granted: list[Approval] = []
    for release in connection.execute(query).all():
        answers = approvals_of_release(connection, release.release_id)
        given = [answer for answer in answers if answer.decided_at <= until]
        granted += given if is_granted(release.quorum, given) else []
    return tuple(granted)


def _approval(row: RowMapping) -> Approval:
    return Approval.model_validate({name: row[name] for name in Approval.model_fields})


def _same_answer(earlier: Approval, again: Approval) -> Approval:
    if (earlier.decision, earlier.artefact_sha256) == (again.decision, again.artefact_sha256):
        return earlier
    raise ConflictError(
        f"release {again.release_id}: {again.decided_by or 'the deadline'} has already answered "
        f"{earlier.decision.value!r}; an answer cannot be changed, abandon the release instead"
    )


def _check_release(connection: Connection, approval: Approval) -> None:
    query = select(releases).where(releases.c.release_id == approval.release_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise LedgerError(f"no release {approval.release_id!r} to answer")
    asked = (row.model, row.version, row.artefact_sha256)
    if asked != (approval.model, approval.version, approval.artefact_sha256):
        raise LedgerError(
            f"release {approval.release_id} asks about {row.model} {row.version} with artefact "
            f"{row.artefact_sha256[:12]}…; the answer speaks about {approval.model} {approval.version} "
            f"with {approval.artefact_sha256[:12]}…"
        )
    if row.stage != ReleaseStage.AWAITING_APPROVAL.value:
        raise ConflictError(f"release {approval.release_id} is {row.stage}: it no longer waits for an answer")
