"""Experiments: what was promised at the start, where they stand, and every analysis there was."""

from typing import Any

from sqlalchemy import Connection, select

from include.adapters.ledger.chain import StoredEvent
from include.adapters.ledger.experiment_rows import (
    append_experiment,
    change_experiment,
    end_experiment,
    experiment_columns,
    read_experiment,
)
from include.adapters.ledger.journal import Journal
from include.adapters.ledger.leases import EXPERIMENT, open_holder, take_lease
from include.adapters.ledger.routes import RouteUpdate, write_route
from include.adapters.ledger.tables import events, experiments
from include.contracts.errors import ConflictError, LedgerError
from include.contracts.events import SYSTEM, EventKind
from include.contracts.experiment_results import Analysis
from include.contracts.experiments import Experiment, ExperimentAnswer, ExperimentState, TreatmentVersion
from include.contracts.moments import UtcDatetime
from include.contracts.releases import Decision


class ExperimentLedger(Journal):
    """Reads and writes experiments."""

    def start_experiment(self, new: Experiment, route: RouteUpdate) -> Experiment:
        """Start an experiment: its row, the model's lease and the route change in one transaction.

        Started again under the same id with the same plan, it is returned as it is.

        Args:
            new: as it starts; wall times are those of the transaction.
            route: the route with the treatment as challenger and the experiment's id as salt.

        Raises:
            LeaseError: another release or experiment of the model is open; the message says which.
            ConflictError: the id was used before, or the route was changed meanwhile.
        """
        with self._writing() as transaction:
            known = read_experiment(transaction.connection, new.experiment_id)
            if known is not None:
                return _same(known, new)
            started = new.model_copy(update={"started_at": transaction.now, "revision": 1})
            take_lease(transaction, started.model, started.experiment_id, EXPERIMENT)
            transaction.connection.execute(experiments.insert().values(**experiment_columns(started)))
            append_experiment(transaction, EventKind.EXPERIMENT_STARTED, started, started.started_by)
            write_route(
                transaction, route, actor=started.started_by, reason=f"experiment {started.experiment_id}"
            )
            return started

    def record_experiment_answer(self, answer: ExperimentAnswer) -> ExperimentAnswer:
        """Record an answer to the question whether an experiment may start.

        The same person's answer about the same plan and artefact is returned as it was first.

        Raises:
            LedgerError: a yes of nobody: when time runs out the answer is no.
        """
        if answer.decided_by is None and answer.decision is Decision.APPROVED:
            raise LedgerError(f"experiment {answer.experiment_id}: when time runs out the answer is no")
        with self._writing() as transaction:
            for known in _answers(transaction.connection, answer.model, answer.experiment_id):
                if _asked(known) == _asked(answer) and known.decided_by == answer.decided_by:
                    return known
            transaction.append(
                EventKind.EXPERIMENT_ANSWERED,
                model=answer.model,
                subject=answer.experiment_id,
                actor=answer.decided_by or SYSTEM,
                payload=answer.model_dump(mode="json"),
            )
            return answer

    def experiment_answers(self, model: str, experiment_id: str) -> tuple[ExperimentAnswer, ...]:
        """Return the answers about an experiment, in the order they were given."""
        with self._reading() as connection:
            return _answers(connection, model, experiment_id)

    def experiment(self, experiment_id: str) -> Experiment | None:
        """Return an experiment; None where there is none."""
        with self._reading() as connection:
            return read_experiment(connection, experiment_id)

    def experiments(self, model: str, name: str | None = None) -> tuple[Experiment, ...]:
        """Return a model's experiments, oldest first; of one name, or all."""
        query = select(experiments).where(experiments.c.model == model).order_by(experiments.c.started_at)
        if name is not None:
            query = query.where(experiments.c.name == name)
        with self._reading() as connection:
            return tuple(Experiment.model_validate(dict(row)) for row in connection.execute(query).mappings())

    def open_experiment_of(self, model: str) -> Experiment | None:
        """Return the model's running experiment; None where none runs."""
        with self._reading() as connection:
            holder = open_holder(connection, model, EXPERIMENT)
            return None if holder is None else read_experiment(connection, holder)

    def advance_experiment(
        self, experiment_id: str, expected_revision: int, share: float, *, actor: str, route: RouteUpdate
    ) -> Experiment:
        """Raise the treatment's share; experiment and route change in one transaction or not at all.

        Raises:
            LedgerError: there is no such experiment, it has ended, or the share does not rise.
            ConflictError: the experiment or the route was changed meanwhile.
        """
        with self._writing() as transaction:
            current = _running(transaction.connection, experiment_id, expected_revision)
            if share <= current.share:
                raise LedgerError(
                    f"experiment {experiment_id} is at {current.share:g}; its share only ever rises"
                )
            write_route(transaction, route, actor=actor, reason=f"experiment {experiment_id} at {share:g}")
            return change_experiment(transaction, current, EventKind.EXPERIMENT_ADVANCED, actor, share=share)

    def end_experiment(
        self,
        experiment_id: str,
        expected_revision: int,
        state: ExperimentState,
        *,
        actor: str,
        reason: str,
        route: RouteUpdate | None,
    ) -> Experiment:
        """End an experiment and give its lease back; with a route, both change in one transaction or neither.

        Raises:
            LedgerError: there is no such experiment, it has ended, or no reason is given.
            ConflictError: the experiment or the route was changed meanwhile.
        """
        if not reason.strip():
            raise LedgerError("ending an experiment needs a written reason")
        with self._writing() as transaction:
            current = _running(transaction.connection, experiment_id, expected_revision)
            if route is not None:
                write_route(transaction, route, actor=actor, reason=reason)
            return end_experiment(transaction, current, state, actor=actor, reason=reason)

    def record_analysis(self, model: str, analysis: Analysis, actor: str, *, earlier: int) -> Analysis:
        """Record an analysis; the first one as of a moment stays, and is returned.

        Args:
            model: the model.
            analysis: what was found.
            actor: user name, or `system`.
            earlier: how many analyses it took into account: a look that another one took would cost nothing.

        Raises:
            LedgerError: there is no such experiment.
            ConflictError: another analysis was recorded meanwhile.
        """
        with self._writing() as transaction:
            if read_experiment(transaction.connection, analysis.experiment_id) is None:
                raise LedgerError(f"no experiment {analysis.experiment_id!r}")
            known = _analyses(transaction.connection, model, analysis.experiment_id)
            same = next((each for each in known if each.as_of == analysis.as_of), None)
            if same is not None:
                return same
            if len(known) != earlier:
                raise ConflictError(
                    f"experiment {analysis.experiment_id} was analysed as of {known[-1].as_of.isoformat()} "
                    "meanwhile; analyse it anew"
                )
            transaction.append(
                EventKind.EXPERIMENT_ANALYSED,
                model=model,
                subject=analysis.experiment_id,
                actor=actor,
                payload=analysis.model_dump(mode="json"),
            )
            return analysis

    def analyses(self, model: str, experiment_id: str) -> tuple[Analysis, ...]:
        """Return an experiment's analyses in the order they were recorded."""
        with self._reading() as connection:
            return _analyses(connection, model, experiment_id)

    def analysis_as_of(self, model: str, experiment_id: str, as_of: UtcDatetime) -> Analysis | None:
        """Return the analysis as of a moment; None where there was none."""
        return next((each for each in self.analyses(model, experiment_id) if each.as_of == as_of), None)


def _analyses(connection: Connection, model: str, experiment_id: str) -> tuple[Analysis, ...]:
    told = _payloads(connection, EventKind.EXPERIMENT_ANALYSED, model, experiment_id)
    return tuple(Analysis.model_validate(payload) for payload in told)


def _answers(connection: Connection, model: str, experiment_id: str) -> tuple[ExperimentAnswer, ...]:
    told = _payloads(connection, EventKind.EXPERIMENT_ANSWERED, model, experiment_id)
    return tuple(ExperimentAnswer.model_validate(payload) for payload in told)


def _asked(answer: ExperimentAnswer) -> tuple[str, tuple[TreatmentVersion, ...]]:
    return answer.plan_sha256, answer.treatments


def _payloads(
    connection: Connection, kind: EventKind, model: str, experiment_id: str
) -> list[dict[str, Any]]:
    query = (
        select(events)
        .where(events.c.model == model, events.c.kind == kind.value, events.c.subject == experiment_id)
        .order_by(events.c.sequence)
    )
    rows = connection.execute(query).mappings()
    return [StoredEvent(**row).parsed().payload for row in rows]


def _same(known: Experiment, new: Experiment) -> Experiment:
    same = (known.model, known.name, known.plan_sha256, known.treatments)
    if not known.state.is_terminal and same == (new.model, new.name, new.plan_sha256, new.treatments):
        return known
    raise ConflictError(
        f"experiment {known.experiment_id!r} is {known.state.value}, started by {known.started_by} at "
        f"{known.started_at:%Y-%m-%d %H:%M} UTC: its units were assigned by that salt; write another salt"
    )


def _running(connection: Connection, experiment_id: str, expected_revision: int) -> Experiment:
    current = read_experiment(connection, experiment_id)
    if current is None:
        raise LedgerError(f"no experiment {experiment_id!r}")
    if current.state.is_terminal:
        raise LedgerError(f"experiment {experiment_id} is {current.state.value}: it has ended")
    if current.revision != expected_revision:
        raise ConflictError(
            f"experiment {experiment_id} is at revision {current.revision}, not {expected_revision}; "
            "somebody changed it meanwhile: look again and decide anew"
        )
    return current
