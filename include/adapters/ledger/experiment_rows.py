"""Rows of experiments inside a transaction, and their end with the traffic they were about."""

from typing import Any

from sqlalchemy import Connection, select, update

from include.adapters.ledger.chain import Transaction
from include.adapters.ledger.leases import EXPERIMENT, close_lease, open_holder
from include.adapters.ledger.tables import experiments
from include.contracts.events import EventKind
from include.contracts.experiments import Experiment, ExperimentState
from include.contracts.routes import ModelRoute

_DOCUMENTS = frozenset({"plan", "size", "further", "approved_by", "state"})


def read_experiment(connection: Connection, experiment_id: str) -> Experiment | None:
    """Return an experiment inside a transaction."""
    query = select(experiments).where(experiments.c.experiment_id == experiment_id)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else Experiment.model_validate(dict(row))


def end_experiment(
    transaction: Transaction, current: Experiment, state: ExperimentState, *, actor: str, reason: str
) -> Experiment:
    """End an experiment and give its lease back."""
    close_lease(transaction, current.experiment_id)
    changes = {"state": state, "reason": reason, "ended_at": transaction.now}
    return change_experiment(transaction, current, EventKind.EXPERIMENT_ENDED, actor, **changes)


def end_displaced(transaction: Transaction, route: ModelRoute, *, actor: str, reason: str) -> None:
    """End the model's experiment where a new route does not split its traffic: nothing is left to compare."""
    holder = open_holder(transaction.connection, route.model, EXPERIMENT)
    if holder is None or route.change_id == holder:
        return
    current = read_experiment(transaction.connection, holder)
    if current is not None:
        end_experiment(transaction, current, ExperimentState.ROLLED_BACK, actor=actor, reason=reason)


def experiment_columns(experiment: Experiment) -> dict[str, Any]:
    """Return the columns of its row."""
    return {**experiment.model_dump(), **experiment.model_dump(mode="json", include=set(_DOCUMENTS))}


def change_experiment(
    transaction: Transaction,
    current: Experiment,
    kind: EventKind,
    actor: str,
    **changes: Any,  # noqa: ANN401 - fields of an experiment
) -> Experiment:
    """Write a changed experiment in its next revision, and the event."""
    new = current.model_copy(update={**changes, "revision": current.revision + 1})
    transaction.connection.execute(
        update(experiments)
        .where(experiments.c.experiment_id == new.experiment_id)
        .values(**experiment_columns(new))
    )
    append_experiment(transaction, kind, new, actor)
    return new


def append_experiment(transaction: Transaction, kind: EventKind, experiment: Experiment, actor: str) -> None:
    """Append an event that tells the whole of an experiment."""
    transaction.append(
        kind,
        model=experiment.model,
        subject=experiment.experiment_id,
        actor=actor,
        payload={"experiment": experiment.model_dump(mode="json")},
    )
