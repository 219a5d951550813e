"""The rows of a source that a run is about to use, and those of them that are set aside, in DuckDB."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import pyarrow

from include.adapters.defects import DEFECT, literal, quoted
from include.adapters.expectations import COUNT_RATIO, FIRST, FOUND_PREFIX
from include.adapters.quarantine import REASON
from include.adapters.sources import ALL, REPEATED, Sources, arrived, order_of_arrival
from include.contracts.checks import RowCount
from include.contracts.errors import SourceError
from include.contracts.quality import Batch
from include.contracts.sources import SourceDefinition

BATCH = "batch"
"""View of the rows a run is about to use, with the columns the suites judge."""
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class SourceReport:
    """What validation made of a source's batch.

    Attributes:
        rows: rows of the batch.
        set_aside: rows by reason that features do not see, among those that arrived since the day before
            the batch's first.
        noted: rows by reason that features do see, kept beside the others.
    """

    rows: int
    set_aside: dict[str, int]
    noted: dict[str, int]


def create_batch(sources: Sources, source: SourceDefinition, batch: Batch) -> None:
    """Create the view `batch`: rows the run's features look at, and rows that arrived lately."""
    used = arrived(source, batch.as_of)
    if source.event_at and source.arrival:
        used += (
            f" AND ({quoted(source.event_at)} IS NULL"
            f" OR {quoted(source.event_at)} >= {_timestamp(batch.since(source.checks.lookback))}"
            f" OR {quoted(source.arrival)} >= {_timestamp(batch.since(_DAY))})"
        )
    columns = [
        f"{_found(sources, source, name)} AS {quoted(FOUND_PREFIX + name)}"
        for name in source.checks.references
    ]
    columns += [f"{_first(sources, source)} AS {FIRST}"] if source.checks.key else []
    extra = ", ".join(["", *columns])
    sources.connection.execute(
        f"CREATE VIEW batch AS SELECT * FROM (SELECT *{extra} FROM {quoted(source.name + ALL)}) WHERE {used}"  # noqa: S608
    )


def _found(sources: Sources, source: SourceDefinition, column: str) -> str:
    reference = source.checks.references[column]
    if reference.column not in sources.definitions[reference.source].columns:
        raise SourceError(
            f"source {source.name!r}: checks.references.{column}: "
            f"{reference.source!r} has no column {reference.column!r}"
        )
    query = f"SELECT {quoted(reference.column)} FROM {quoted(reference.source)}"  # noqa: S608 - validated
    return f"({quoted(column)} IS NOT NULL AND {quoted(column)} IN ({query}))"


def _first(sources: Sources, source: SourceDefinition) -> str:
    counted = sources.connection.execute(f"SELECT count(*) FROM {quoted(source.name + REPEATED)}")  # noqa: S608
    if not counted.fetchall()[0][0]:
        return "true"
    return f"{order_of_arrival(source)} = 1"


def daily_counts(source: SourceDefinition, rows: RowCount, batch: Batch) -> str:
    """Return the query of each complete day's rows against the mean of the days with rows before it."""
    first, end = batch.since(_DAY), datetime.combine(batch.last, time(), UTC)
    span = rows.trailing.days
    event_at = quoted(source.event_at or "")
    return (
        f"SELECT day, rows / usual AS {COUNT_RATIO} FROM (SELECT day, rows, "  # noqa: S608 - validated
        "avg(rows) OVER earlier AS usual, count(*) OVER earlier AS known FROM "
        f"(SELECT date_trunc('day', {event_at}) AS day, count(*) AS rows FROM {quoted(source.name)} "
        f"WHERE {event_at} >= {_timestamp(first - rows.trailing)} AND {event_at} < {_timestamp(end)} "
        f"GROUP BY ALL) WINDOW earlier AS (ORDER BY day RANGE BETWEEN INTERVAL {span} DAY PRECEDING "
        f"AND INTERVAL 1 DAY PRECEDING)) WHERE day >= {_timestamp(first)} AND known * 4 >= {span}"
    )


def set_aside(
    sources: Sources, source: SourceDefinition, batch: Batch, now: datetime
) -> tuple[pyarrow.Table, SourceReport]:
    """Return the batch's rows that have a reason to be in quarantine, with it, and their counts."""
    columns = ", ".join(quoted(name) for name in source.columns)
    fresh = f"{quoted(source.arrival)} >= {_timestamp(batch.since(_DAY))}" if source.arrival else "true"
    arrival_unknown = f" OR {quoted(source.arrival)} IS NULL" if source.arrival else ""
    parts = [
        f"SELECT {columns}, {reason} AS {REASON}, {removed} AS removed FROM {relation} WHERE {condition}"  # noqa: S608
        for reason, removed, relation, condition in _reasons(source, f"({fresh}{arrival_unknown})", now)
    ]
    rows = sources.connection.sql(" UNION ALL ".join(parts) + " ORDER BY ALL").to_arrow_table()
    counted = rows.group_by([REASON, "removed"]).aggregate([([], "count_all")]).to_pylist()
    aside, noted = (
        {row[REASON]: row["count_all"] for row in counted if row["removed"] is removed}
        for removed in (True, False)
    )
    total = sources.connection.execute(f"SELECT count(*) FROM {BATCH}").fetchall()[0][0]  # noqa: S608
    return rows, SourceReport(total, aside, noted)


def _reasons(source: SourceDefinition, fresh: str, now: datetime) -> Iterator[tuple[str, str, str, str]]:
    """Yield the reason, whether features lose the row, where it is looked for, and its condition."""
    yield DEFECT, "true", "batch", f"{fresh} AND {DEFECT} IS NOT NULL"
    good = f"{fresh} AND {DEFECT} IS NULL"
    if source.checks.key:
        keys = ", ".join(source.checks.key)
        yield literal(f"repeats the key {keys}"), "true", "batch", f"{good} AND NOT {FIRST}"
    for name in source.checks.references:
        yield literal(f"unknown {name}"), "false", "batch", f"{good} AND NOT {quoted(FOUND_PREFIX + name)}"
    if source.event_at:
        event_at = quoted(source.event_at)
        condition = f"{event_at} > {_timestamp(now)} AND {DEFECT} IS NULL"
        yield literal(f"{source.event_at} lies in the future"), "true", quoted(source.name + ALL), condition


def whole_batch(sources: Sources) -> pyarrow.Table:
    """Return the whole batch, each row with its own defect if it has one."""
    query = f"SELECT * RENAME ({DEFECT} AS {REASON}) FROM batch"  # noqa: S608 - a constant
    return sources.connection.sql(query).to_arrow_table()


def _timestamp(moment: datetime) -> str:
    return f"TIMESTAMP '{moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ')}'"
