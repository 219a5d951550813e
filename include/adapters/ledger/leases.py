"""Leases: at most one release or experiment of a model is open at a time."""

from sqlalchemy import Connection, select, update

from include.adapters.ledger.chain import Transaction
from include.adapters.ledger.tables import experiments, leases, releases
from include.contracts.errors import LeaseError

RELEASE, EXPERIMENT = "release", "experiment"


def take_lease(transaction: Transaction, model: str, holder_id: str, kind: str) -> None:
    """Take a model's lease inside a transaction.

    Raises:
        LeaseError: it is held; the message says by whom.
    """
    query = select(leases).where(leases.c.model == model, leases.c.closed_at.is_(None))
    held = transaction.connection.execute(query).one_or_none()
    if held is not None:
        raise LeaseError(_holder(transaction.connection, held.holder_id, held.kind, model))
    transaction.connection.execute(
        leases.insert().values(holder_id=holder_id, model=model, kind=kind, opened_at=transaction.now)
    )


def close_lease(transaction: Transaction, holder_id: str) -> None:
    """Give a lease back."""
    transaction.connection.execute(
        update(leases).where(leases.c.holder_id == holder_id).values(closed_at=transaction.now)
    )


def open_holder(connection: Connection, model: str, kind: str) -> str | None:
    """Return who holds a model's lease, if it is of a kind."""
    query = select(leases.c.holder_id).where(
        leases.c.model == model, leases.c.closed_at.is_(None), leases.c.kind == kind
    )
    holder: str | None = connection.execute(query).scalar_one_or_none()
    return holder


def _holder(connection: Connection, holder_id: str, kind: str, model: str) -> str:
    return (
        f"{model}: {kind} {holder_id!r}{_detail(connection, holder_id, kind)} is still open; wait for its "
        f"end, or abandon it: make abandon MODEL={model} REASON=<why>"
    )


def _detail(connection: Connection, holder_id: str, kind: str) -> str:
    if kind == RELEASE:
        release = select(releases).where(releases.c.release_id == holder_id)
        row = connection.execute(release).one_or_none()
        if row is None:
            return ""
        opened = f"opened by {row.triggered_by} at {row.opened_at:%Y-%m-%d %H:%M} UTC"
        return f" of {row.version}, {row.stage}, {opened},"
    experiment = select(experiments).where(experiments.c.experiment_id == holder_id)
    row = connection.execute(experiment).one_or_none()
    if row is None:
        return ""
    tried = " and ".join([row.treatment_version, *(each["version"] for each in row.further)])
    return (
        f" of {tried} against {row.control_version}, started by {row.started_by} at "
        f"{row.started_at:%Y-%m-%d %H:%M} UTC,"
    )
