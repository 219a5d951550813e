"""Retirement: what serves no more, with its history kept."""

from sqlalchemy import Connection, select, update

from include.adapters.ledger.chain import Transaction
from include.adapters.ledger.journal import Journal
from include.adapters.ledger.routes import RouteUpdate, read_retired, read_route, remove_route, write_route
from include.adapters.ledger.tables import leases, versions
from include.contracts.errors import ConflictError, LeaseError, LedgerError
from include.contracts.events import EventKind


class RetirementLedger(Journal):
    """Retires models and versions."""

    def retire_model(self, model: str, *, actor: str, reason: str) -> bool:
        """Take a model's route away; its versions and their history stay.

        A release of it brings it back. Retired again, nothing changes.

        Returns:
            Whether it was not retired before.

        Raises:
            LedgerError: no reason is given.
            LeaseError: a release or experiment of it is open.
        """
        _check_reason(reason)
        with self._writing() as transaction:
            if model in read_retired(transaction.connection):
                return False
            _check_nothing_open(transaction.connection, model)
            remove_route(transaction, model, actor=actor, reason=reason)
            return True

    def retired_models(self) -> dict[str, str]:
        """Return why each retired model was retired."""
        with self._reading() as connection:
            return read_retired(connection)

    def retire_version(self, model: str, version: str, *, actor: str, reason: str) -> bool:
        """Let a version never serve again: no release and no rollback leads to it. What it did stays known.

        Returns:
            Whether it was not retired before.

        Raises:
            LedgerError: there is no such version, or no reason is given.
            ConflictError: it has traffic.
            LeaseError: a release or experiment of the model is open.
        """
        _check_reason(reason)
        this = (versions.c.model == model, versions.c.version == version)
        with self._writing() as transaction:
            row = transaction.connection.execute(select(versions).where(*this)).one_or_none()
            if row is None:
                raise LedgerError(f"{model} has no version {version}")
            if row.retired_at is not None:
                return False
            _check_nothing_open(transaction.connection, model)
            _forget_untrafficked(transaction, model, version, actor)
            changes = update(versions).where(*this).values(retired_at=transaction.now)
            transaction.connection.execute(changes)
            transaction.append(
                EventKind.VERSION_RETIRED,
                model=model,
                subject=f"{model} {version}",
                actor=actor,
                payload={"reason": reason},
            )
            return True


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise LedgerError("retiring needs a written reason")


def _check_nothing_open(connection: Connection, model: str) -> None:
    query = select(leases).where(leases.c.model == model, leases.c.closed_at.is_(None))
    held = connection.execute(query).one_or_none()
    if held is not None:
        raise LeaseError(
            f"{model}: {held.kind} {held.holder_id!r} is still open; wait for its end, or abandon it: "
            f"make abandon MODEL={model} REASON=<why>"
        )


def _forget_untrafficked(transaction: Transaction, model: str, version: str, actor: str) -> None:
    """Take a version out of the route where it is but a fallback or a shadow."""
    state = read_route(transaction.connection, model)
    route = state.route
    if route is None or version not in {item.version for item in route.loaded}:
        return
    if version in {arm.version.version for arm in route.arms}:
        raise ConflictError(f"{model} {version} has traffic; release another version or roll back first")
    changes: dict[str, object] = {}
    if route.previous is not None and route.previous.version == version:
        changes["previous"] = None
    if route.shadow is not None and route.shadow.version == version:
        changes |= {"shadow": None, "shadow_share": 0.0}
    alone = route.model_copy(update=changes)
    write_route(transaction, RouteUpdate(alone, state.revision), actor=actor, reason=f"{version} is retired")
