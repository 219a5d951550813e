"""Measurements over a long time, thinned to what a plot shows: looks are left out whole, never averaged."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, select

from include.adapters.ledger import tables
from include.adapters.ledger.engine import open_engine, reading, translating
from include.contracts.measurements import Measurement, Monitor

_MEASURED = tuple(Measurement.model_fields)


class WindowValue(NamedTuple):
    """A figure of a window, without all that was measured beside it."""

    start: datetime
    end: datetime
    value: float | None


class MeasuredHistory:
    """Reader of what monitors measured. Nothing is connected before the first call.

    Args:
        url: SQLAlchemy URL of the ledger.
    """

    def __init__(self, url: str) -> None:
        self._engine: Engine = open_engine(url)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def about_everybody(
        self, model: str, monitor: Monitor, metric: str, since: datetime
    ) -> tuple[WindowValue, ...]:
        """Return a metric over windows that end after a moment, in the order they were measured.

        Of all versions and variants together, and of no slice.
        """
        table = tables.measurements
        query = (
            select(table.c.window_start, table.c.window_end, table.c.value)
            .where(table.c.model == model, table.c.monitor == monitor.value, table.c.metric == metric)
            .where(table.c.window_end > since)
            .where(*(table.c[name].is_(None) for name in ("version", "variant", "slice")))
            .order_by(table.c.as_of, table.c.position)
        )
        with translating(self._engine), reading(self._engine) as connection:
            return tuple(WindowValue(*row) for row in connection.execute(query))

    def thinned(
        self, model: str, monitor: Monitor, start: datetime, end: datetime, most: int
    ) -> tuple[Measurement, ...]:
        """Return what was measured by looks from moments in (start, end], oldest first.

        Where there were more than `most` looks, every n-th is taken, counted back from the latest.
        """
        table = tables.measurements
        with translating(self._engine), reading(self._engine) as connection:
            runs = tables.monitor_runs
            moments = connection.execute(
                select(runs.c.as_of)
                .where(runs.c.model == model, runs.c.monitor == monitor.value)
                .where(runs.c.as_of > start, runs.c.as_of <= end)
                .order_by(runs.c.as_of.desc())
            ).scalars()
            chosen = _every_nth(list(moments), most)
            query = (
                select(*(table.c[name] for name in _MEASURED))
                .where(table.c.model == model, table.c.monitor == monitor.value, table.c.as_of.in_(chosen))
                .order_by(table.c.as_of, table.c.position)
            )
            return tuple(
                Measurement.model_validate(dict(row)) for row in connection.execute(query).mappings()
            )


def _every_nth(moments: Sequence[datetime], most: int) -> list[datetime]:
    step = -(-len(moments) // most) if moments else 1
    return list(moments[::step])
