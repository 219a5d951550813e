"""The store of measurements, in the ledger's database: what every monitor saw, run by run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, Table, and_, delete, func, select, union_all, update

from include.adapters.ledger import tables
from include.adapters.ledger.engine import open_engine, reading, translating, writing
from include.contracts.measurements import Measurement, Monitor, MonitorRun

_MEASURED = tuple(Measurement.model_fields)
_TOLD = tuple(MonitorRun.model_fields)


class MeasurementStore:
    """Writer and reader of monitors' runs. Nothing is connected before the first call.

    Args:
        url: SQLAlchemy URL of the ledger, migrated by `migrate.upgrade`.
    """

    def __init__(self, url: str) -> None:
        self._engine: Engine = open_engine(url)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def record(self, run: MonitorRun, measurements: Sequence[Measurement]) -> None:
        """Store a run whole; one of the same model, monitor and moment is replaced.

        Raises:
            ValueError: a measurement is of another model or monitor than the run.
            LedgerError: the database cannot be written.
        """
        for each in measurements:
            if (each.model, each.monitor) != (run.model, run.monitor):
                raise ValueError(
                    f"a measurement of {each.model}/{each.monitor.value} is not of the run "
                    f"{run.model}/{run.monitor.value}"
                )
        rows = [_row(each) | {"as_of": run.as_of, "position": at} for at, each in enumerate(measurements)]
        with translating(self._engine), writing(self._engine) as connection:
            for table in (tables.measurements, tables.monitor_runs):
                connection.execute(delete(table).where(_same(table, run)))
            connection.execute(tables.monitor_runs.insert().values(_row(run)))
            if rows:
                connection.execute(tables.measurements.insert(), rows)

    def attach_report(self, run: MonitorRun, uri: str) -> None:
        """Note where a run's report lies, once it is there."""
        table = tables.monitor_runs
        with translating(self._engine), writing(self._engine) as connection:
            connection.execute(update(table).where(_same(table, run)).values(report_uri=uri))

    def detach_reports(self, before: datetime) -> None:
        """Forget where the reports of runs before a moment lie; the runs stay."""
        table = tables.monitor_runs
        old = (table.c.as_of < before, table.c.report_uri.is_not(None))
        with translating(self._engine), writing(self._engine) as connection:
            connection.execute(update(table).where(*old).values(report_uri=None))

    def run(self, model: str, monitor: Monitor, as_of: datetime) -> MonitorRun | None:
        """Return the run of a moment; None if there was none."""
        table = tables.monitor_runs
        named = table.c.model == model, table.c.monitor == monitor.value, table.c.as_of == as_of
        query = select(*(table.c[name] for name in _TOLD)).where(*named)
        with translating(self._engine), reading(self._engine) as connection:
            row = connection.execute(query).mappings().first()
            return None if row is None else MonitorRun.model_validate(dict(row))

    def measurements(
        self,
        model: str,
        *,
        monitor: Monitor | None = None,
        metric: str | None = None,
        subject: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        before: datetime | None = None,
    ) -> tuple[Measurement, ...]:
        """Return what was measured over windows that end in (start, end], oldest first.

        The bounds are those of windows that lie one after the other: a window that ends where a span
        starts belongs to the span before. With `before`, only runs that looked from an earlier moment count.
        """
        table = tables.measurements
        query = select(*(table.c[name] for name in _MEASURED)).where(table.c.model == model)
        # Named one by one where all are asked for: an index on (model, monitor, …) serves no open monitor.
        query = query.where(table.c.monitor.in_([each.value for each in ([monitor] if monitor else Monitor)]))
        for column, wanted in ((table.c.metric, metric), (table.c.subject, subject)):
            if wanted is not None:
                query = query.where(column == wanted)
        if start is not None:
            query = query.where(table.c.window_end > start)
        if end is not None:
            query = query.where(table.c.window_end <= end)
        if before is not None:
            query = query.where(table.c.as_of < before)
        query = query.order_by(table.c.window_end, table.c.as_of, table.c.monitor, table.c.position)
        with translating(self._engine), reading(self._engine) as connection:
            return tuple(
                Measurement.model_validate(dict(row)) for row in connection.execute(query).mappings()
            )

    def measured(self, run: MonitorRun) -> tuple[Measurement, ...]:
        """Return the measurements of one run, in the order they were stored."""
        table = tables.measurements
        query = select(*(table.c[name] for name in _MEASURED)).where(_same(table, run))
        query = query.order_by(table.c.position)
        with translating(self._engine), reading(self._engine) as connection:
            return tuple(
                Measurement.model_validate(dict(row)) for row in connection.execute(query).mappings()
            )

    def last_judged(self, model: str, monitor: Monitor, before: datetime) -> tuple[Measurement, ...]:
        """Return what a monitor measured when it last judged before a moment; empty if it never did."""
        for run in self.runs(model, monitor=monitor, before=before):
            if run.verdict.is_judgement:
                return self.measured(run)
        return ()

    def runs(
        self,
        model: str,
        *,
        monitor: Monitor | None = None,
        before: datetime | None = None,
        limit: int = 100,
    ) -> tuple[MonitorRun, ...]:
        """Return a model's runs, the latest moment first, at most `limit`.

        Args:
            model: whose.
            monitor: which; None for all.
            before: only runs that looked from an earlier moment.
            limit: most runs.
        """
        table = tables.monitor_runs
        query = select(*(table.c[name] for name in _TOLD)).where(table.c.model == model)
        if monitor is not None:
            query = query.where(table.c.monitor == monitor.value)
        if before is not None:
            query = query.where(table.c.as_of < before)
        query = query.order_by(table.c.as_of.desc(), table.c.monitor).limit(limit)
        with translating(self._engine), reading(self._engine) as connection:
            return tuple(MonitorRun.model_validate(dict(row)) for row in connection.execute(query).mappings())

    def last_run(self, model: str, monitor: Monitor) -> MonitorRun | None:
        """Return a monitor's run of the latest moment; None before the first."""
        found = self.runs(model, monitor=monitor, limit=1)
        return found[0] if found else None

    def last_runs(self, model: str) -> dict[Monitor, MonitorRun]:
        """Return the run of the latest moment of each monitor that ever looked at a model, in one query."""
        table = tables.monitor_runs
        columns = [table.c[name] for name in _TOLD]
        newest = (
            select(*columns)
            .where(table.c.model == model, table.c.monitor == monitor.value)
            .order_by(table.c.as_of.desc())
            .limit(1)
            .subquery()
            for monitor in Monitor
        )
        query = union_all(*(select(each) for each in newest))
        with translating(self._engine), reading(self._engine) as connection:
            runs = [MonitorRun.model_validate(dict(row)) for row in connection.execute(query).mappings()]
        return {run.monitor: run for run in runs}

    def pooled(
        self, model: str, monitor: Monitor, metric: str, subject: str, *, start: datetime, end: datetime
    ) -> "Pooled":
        """Return the sums over windows that end in (start, end], added up by the database."""
        table = tables.measurements
        total, weighted = func.sum(table.c.n), func.sum(table.c.n * table.c.value)
        query = select(func.coalesce(total, 0), func.coalesce(weighted, 0.0)).where(
            table.c.model == model,
            table.c.monitor == monitor.value,
            table.c.metric == metric,
            table.c.subject == subject,
            table.c.window_end > start,
            table.c.window_end <= end,
        )
        with translating(self._engine), reading(self._engine) as connection:
            n, sum_of_values = connection.execute(query).one()
        return Pooled(int(n), float(sum_of_values))

    def thin(self, model: str, monitor: Monitor, before: datetime) -> int:
        """Delete a monitor's runs before a moment, but for the last of each day; returns how many."""
        table = tables.monitor_runs
        of_monitor = (table.c.model == model, table.c.monitor == monitor.value, table.c.as_of < before)
        query = select(table.c.as_of).where(*of_monitor).order_by(table.c.as_of)
        with translating(self._engine), reading(self._engine) as connection:
            moments = connection.execute(query).scalars().all()
        last_of_day = {moment.date(): moment for moment in moments}
        gone = [moment for moment in moments if moment != last_of_day[moment.date()]]
        if gone:
            with translating(self._engine), writing(self._engine) as connection:
                for each in (tables.measurements, table):
                    for moment in gone:
                        connection.execute(delete(each).where(_named(each, model, monitor, moment)))
        return len(gone)


@dataclass(frozen=True)
class Pooled:
    """Measurements added up."""

    n: int
    """Rows they are of."""
    weighted: float
    """Sum of their values, each times its rows."""


def _row(stored: Measurement | MonitorRun) -> dict[str, Any]:
    # Enumerations go in as their values; moments and documents as the columns' own types write them.
    texts = {"monitor": stored.monitor.value, "verdict": stored.verdict.value}
    return stored.model_dump() | texts


def _same(table: Table, run: MonitorRun) -> ColumnElement[bool]:
    return _named(table, run.model, run.monitor, run.as_of)


def _named(table: Table, model: str, monitor: Monitor, as_of: datetime) -> ColumnElement[bool]:
    named = {"model": model, "monitor": monitor.value, "as_of": as_of}
    return and_(*(table.c[name] == value for name, value in named.items()))
