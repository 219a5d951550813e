"""Releases and the lease that lets only one change of a model be open at a time."""

import json
from typing import Any

from sqlalchemy import Connection, select, update

from include.adapters.ledger.alerts import settle, tell
from include.adapters.ledger.approvals import approvals_of_release
from include.adapters.ledger.chain import Transaction
from include.adapters.ledger.journal import Journal
from include.adapters.ledger.leases import RELEASE, close_lease, open_holder, take_lease
from include.adapters.ledger.routes import RouteUpdate, read_route, write_route
from include.adapters.ledger.tables import events, releases, versions
from include.contracts.alerts import AlertContent, AlertKind
from include.contracts.errors import ConflictError, LedgerError
from include.contracts.events import EventKind
from include.contracts.ramps import Ramp, RampDecision, RolloutPlan
from include.contracts.releases import Decision, Release, ReleaseStage

_S = ReleaseStage
NEXT_STAGES: dict[ReleaseStage, frozenset[ReleaseStage]] = {
    _S.AWAITING_APPROVAL: frozenset({_S.APPROVED, _S.REJECTED, _S.OUTDATED}),
    _S.APPROVED: frozenset({_S.LOADED, _S.ROLLED_BACK}),
    _S.LOADED: frozenset({_S.RAMPING, _S.BAKING, _S.ROLLED_BACK}),
    _S.RAMPING: frozenset({_S.RAMPING, _S.BAKING, _S.ROLLED_BACK}),
    _S.BAKING: frozenset({_S.BAKING, _S.PROMOTED, _S.ROLLED_BACK}),
}
"""Stages a release may go to from each; `abandoned` is open to all of them."""


class ReleaseLedger(Journal):
    """Reads and writes releases."""

    def open_release(
        self,
        *,
        release_id: str,
        model: str,
        version: str,
        champion_version: str | None,
        artefact_sha256: str,
        contract_sha256: str,
        plan: RolloutPlan,
        thresholds: dict[str, float],
        approvers: tuple[str, ...],
        quorum: int,
        requested_by: str,
        triggered_by: str,
        evaluation_uri: str | None = None,
    ) -> Release:
        """Open a release and take the model's lease; opened again under the same id, it is returned.

        Raises:
            LeaseError: another release or experiment of the model is open; the message says which.
            LedgerError: the version is retired.
            ConflictError: the id belongs to a release of something else, or the version is unknown.
        """
        with self._writing() as transaction:
            new = Release(
                release_id=release_id,
                model=model,
                version=version,
                champion_version=champion_version,
                artefact_sha256=artefact_sha256,
                evaluation_uri=evaluation_uri,
                contract_sha256=contract_sha256,
                plan=plan,
                thresholds=thresholds,
                approvers=approvers,
                quorum=quorum,
                stage=ReleaseStage.AWAITING_APPROVAL,
                requested_by=requested_by,
                triggered_by=triggered_by,
                revision=1,
                opened_at=transaction.now,
            )
            known = read_release(transaction.connection, release_id)
            if known is not None:
                return _same_release(known, new)
            _check_not_retired(transaction.connection, new)
            take_lease(transaction, new.model, new.release_id, RELEASE)
            transaction.connection.execute(releases.insert().values(**_columns(new)))
            _append(transaction, EventKind.RELEASE_OPENED, new, actor=triggered_by, reason=None)
            return new

    def release(self, release_id: str) -> Release | None:
        """Return a release; None where there is none."""
        with self._reading() as connection:
            return read_release(connection, release_id)

    def releases(self, model: str) -> tuple[Release, ...]:
        """Return a model's releases, oldest first."""
        query = select(releases).where(releases.c.model == model).order_by(releases.c.opened_at)
        with self._reading() as connection:
            return tuple(Release.model_validate(dict(row)) for row in connection.execute(query).mappings())

    def why_ended(self, release_id: str) -> str | None:
        """Return the reason a release ended with; None while it is open, or where none was given."""
        query = select(events.c.payload).where(
            events.c.subject == release_id, events.c.kind == EventKind.RELEASE_ENDED.value
        )
        with self._reading() as connection:
            payload = connection.execute(query).scalar_one_or_none()
        reason: str | None = None if payload is None else json.loads(payload)["reason"]
        return reason

    def open_release_of(self, model: str) -> Release | None:
        """Return the model's open release; None where none is open."""
        with self._reading() as connection:
            return _open_release(connection, model)

    def advance_release(
        self,
        release_id: str,
        expected_revision: int,
        stage: ReleaseStage,
        *,
        actor: str,
        share: float | None = None,
        reason: str | None = None,
        route: RouteUpdate | None = None,
        ramp: Ramp | None = None,
        decision: RampDecision | None = None,
        raises: AlertContent | None = None,
    ) -> Release:
        """Move a release on, or end it; with a route, both change in one transaction or neither.

        The alert of a ramp that asked a person is closed where it asks no more.

        Args:
            release_id: which.
            expected_revision: how the caller has seen it.
            stage: where it goes; `ramping` and `baking` may follow themselves.
            actor: user name, or `system`.
            share: share of the units it answers from now on; None leaves it.
            reason: why; it is kept in the event.
            route: the route that changes with it.
            ramp: where it stands in its ramp from now on; None leaves it.
            decision: what was decided, with its figures; it is kept in the event.
            raises: an alert that is raised with it.

        Raises:
            LedgerError: there is no such release, or the stage does not follow from where it stands.
            ConflictError: the release or the route was changed meanwhile.
        """
        with self._writing() as transaction:
            current = _expected(transaction.connection, release_id, expected_revision)
            _check_step(transaction.connection, current, stage)
            if route is not None:
                write_route(transaction, route, actor=actor, reason=reason)
            moved = current if ramp is None else current.model_copy(update={"ramp": ramp})
            new = _move(transaction, moved, stage, actor=actor, share=share, reason=reason, decision=decision)
            if raises is not None:
                tell(transaction, raises, actor)
            return new

    def abandon(self, model: str, *, actor: str, reason: str, release_id: str | None = None) -> Release:
        """End a model's open release before its time; its challenger, if routed, loses its traffic.

        Args:
            model: the model.
            actor: user name, or `system`.
            reason: why; it is kept.
            release_id: the release that is meant; without it, whichever is open.

        Raises:
            LedgerError: the model has no open release, or no reason is given.
            ConflictError: another release is open than the one that is meant.
        """
        if not reason.strip():
            raise LedgerError("abandoning a release needs a written reason")
        with self._writing() as transaction:
            current = _open_release(transaction.connection, model)
            if current is None:
                raise LedgerError(f"{model} has no open release to abandon")
            if release_id not in {None, current.release_id}:
                raise ConflictError(
                    f"{release_id!r} is not the open release of {model}; {current.release_id!r} is, "
                    "and stays open"
                )
            withdrawn = _without_challenger(transaction.connection, current)
            if withdrawn is not None:
                write_route(transaction, withdrawn, actor=actor, reason=reason)
            return _move(transaction, current, _S.ABANDONED, actor=actor, share=None, reason=reason)


def read_release(connection: Connection, release_id: str) -> Release | None:
    """Return a release inside a transaction."""
    row = connection.execute(select(releases).where(releases.c.release_id == release_id)).mappings()
    found = row.one_or_none()
    return None if found is None else Release.model_validate(dict(found))


def _open_release(connection: Connection, model: str) -> Release | None:
    holder = open_holder(connection, model, RELEASE)
    return None if holder is None else read_release(connection, holder)


def _columns(release: Release) -> dict[str, Any]:
    documents = release.model_dump(mode="json", include={"plan", "thresholds", "approvers", "stage", "ramp"})
    return {**release.model_dump(), **documents}


def _same_release(known: Release, new: Release) -> Release:
    if (known.model, known.artefact_sha256) == (new.model, new.artefact_sha256):
        return known
    raise ConflictError(
        f"release id {new.release_id!r} belongs to {known.model} {known.version}, not to "
        f"{new.model} {new.version}; open this one under an id of its own"
    )


def _check_not_retired(connection: Connection, new: Release) -> None:
    query = select(versions.c.retired_at).where(
        versions.c.model == new.model, versions.c.version == new.version
    )
    if connection.execute(query).scalar_one_or_none() is not None:
        raise LedgerError(f"{new.model} {new.version} is retired; release another version")


def _expected(connection: Connection, release_id: str, expected_revision: int) -> Release:
    current = read_release(connection, release_id)
    if current is None:
        raise LedgerError(f"no release {release_id!r}")
    if current.revision != expected_revision:
        raise ConflictError(
            f"release {release_id} is at revision {current.revision} ({current.stage.value}), not "
            f"{expected_revision}; somebody moved it meanwhile: look again and decide anew"
        )
    return current


def _check_step(connection: Connection, current: Release, stage: ReleaseStage) -> None:
    if stage not in NEXT_STAGES.get(current.stage, frozenset()):
        raise LedgerError(
            f"release {current.release_id} cannot go from {current.stage.value} to {stage.value}"
        )
    if stage is _S.APPROVED:
        given = approvals_of_release(connection, current.release_id)
        yeses = sum(answer.decision is Decision.APPROVED for answer in given)
        if yeses < current.quorum:
            raise LedgerError(
                f"release {current.release_id} has {yeses} of the {current.quorum} approvals it needs"
            )


def _move(
    transaction: Transaction,
    current: Release,
    stage: ReleaseStage,
    *,
    actor: str,
    share: float | None,
    reason: str | None,
    decision: RampDecision | None = None,
) -> Release:
    new = current.model_copy(
        update={
            "stage": stage,
            "share": current.share if share is None else share,
            "revision": current.revision + 1,
            "ended_at": transaction.now if stage.is_terminal else None,
        }
    )
    transaction.connection.execute(
        update(releases).where(releases.c.release_id == new.release_id).values(**_columns(new))
    )
    if stage.is_terminal or new.ramp is None or new.ramp.held is None:
        settle(transaction, _question(new), actor, reason or stage.value)
    if stage.is_terminal:
        close_lease(transaction, new.release_id)
    kind = EventKind.RELEASE_ENDED if stage.is_terminal else EventKind.RELEASE_ADVANCED
    _append(transaction, kind, new, actor=actor, reason=reason, decision=decision)
    return new


def _question(release: Release) -> AlertContent:
    """Return what the alert of a ramp that asks a person is found by: it is closed with the question."""
    return AlertContent(
        kind=AlertKind.RAMP_HELD, subject=release.release_id, model=release.model, message="asked"
    )


def _append(
    transaction: Transaction,
    kind: EventKind,
    release: Release,
    *,
    actor: str,
    reason: str | None,
    decision: RampDecision | None = None,
) -> None:
    decided = {} if decision is None else {"decision": decision.model_dump(mode="json")}
    transaction.append(
        kind,
        model=release.model,
        subject=release.release_id,
        actor=actor,
        payload={"reason": reason, "release": release.model_dump(mode="json"), **decided},
    )


def _without_challenger(connection: Connection, release: Release) -> RouteUpdate | None:
    state = read_route(connection, release.model)
    if state.route is None or state.route.challenger is None or state.route.change_id != release.release_id:
        return None
    return RouteUpdate(state.route.unsplit(), state.revision)
