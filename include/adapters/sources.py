"""Raw sources as DuckDB views: canonical columns, and only rows that had arrived by a moment."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from include.adapters.defects import DEFECT, defect_expression, quoted
from include.adapters.source_definitions import LocatedSource, locate_source
from include.config.settings import Settings
from include.contracts.errors import SourceError
from include.contracts.sources import ColumnType, SourceDefinition

ALL = "__all"
"""`<source>__all`: every row of a source, with its defect."""
REPEATED = "__repeated"
"""`<source>__repeated`: keys that more than one good row carries."""

_SQL_TYPES = {
    ColumnType.INT64: "BIGINT",
    ColumnType.FLOAT64: "DOUBLE",
    ColumnType.STRING: "VARCHAR",
    ColumnType.BOOL: "BOOLEAN",
    ColumnType.TIMESTAMP: "TIMESTAMP",
}


@dataclass(frozen=True)
class Sources:
    """Open sources as of a moment: one DuckDB view each; times in SQL are `TIMESTAMP`s in UTC."""

    connection: duckdb.DuckDBPyConnection
    definitions: Mapping[str, SourceDefinition]
    as_of: datetime

    def __enter__(self) -> "Sources":
        """Return the open sources."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.connection.close()

    def beside(self) -> "Sources":
        """Return the same sources on a connection of its own, for another thread."""
        return Sources(_in_utc(self.connection.cursor()), self.definitions, self.as_of)

    def coverage(self) -> dict[str, tuple[datetime, datetime]]:
        """Return the first and last event time of each source that has event times and rows."""
        return self._extremes({name: item.event_at for name, item in self.definitions.items()})

    def covered_until(self) -> datetime:
        """Return the moment up to which nothing more is expected from the sources.

        A source that has been silent for longer than it ever is, is complete only up to its last row.
        """
        until = self.as_of
        for name, (_, last) in self._extremes(
            {name: item.arrival for name, item in self.definitions.items()}
        ).items():
            if self.as_of - last > self.definitions[name].longest_silence:
                until = min(until, last)
        return until

    def _extremes(self, columns: Mapping[str, str | None]) -> dict[str, tuple[datetime, datetime]]:
        found = {}
        for name, column in columns.items():
            if column is None:
                continue
            query = f'SELECT min("{column}"), max("{column}") FROM "{name}"'  # noqa: S608 - names are validated
            first, last = self.connection.execute(query).fetchall()[0]
            if first is not None:
                found[name] = (first.replace(tzinfo=UTC), last.replace(tzinfo=UTC))
        return found


def tables_of(sql: str) -> frozenset[str]:
    """Return the names of the relations a query reads, its own common table expressions excepted.

    Raises:
        SourceError: the text is not one SELECT.
    """
    with duckdb.connect() as connection:
        text = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()[0][0]
    tree = json.loads(text)
    if tree["error"]:
        raise SourceError(f"the query cannot be read: {tree['error_message']}")
    nodes = list(_objects(tree))
    read = {node["table_name"] for node in nodes if node.get("type") == "BASE_TABLE"}
    own = {entry["key"] for node in nodes for entry in node.get("cte_map", {}).get("map", ())}
    return frozenset(read - own)


def _objects(tree: object) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    for child in children:
        yield from _objects(child)


def open_sources(
    settings: Settings, as_of: datetime, names: Iterable[str], model_folders: Sequence[Path] = ()
) -> Sources:
    """Open sources by name, each as a DuckDB view of its good rows with `ingested_at` < `as_of`.

    A row with a defect (a null where none may be, a value out of its range, an event after its arrival) is
    left out, and so is every row after the first of its key.

    Args:
        settings: `settings.sources` replaces a source's URI.
        as_of: moment to look from.
        names: sources to open; a model folder's own definition comes before the shared one.
        model_folders: model folders whose `sources/` are searched too.

    Raises:
        SourceError: a source has no definition, cannot be read, lacks a column, holds a value that is not of
            the column's type, or has more defects than its checks allow.
    """
    sources = examine_sources(settings, as_of, names, model_folders)
    try:
        for definition in sources.definitions.values():
            _check_defects(sources, definition)
    except BaseException:
        sources.connection.close()
        raise
    return sources


def examine_sources(
    settings: Settings, as_of: datetime, names: Iterable[str], model_folders: Sequence[Path] = ()
) -> Sources:
    """Open sources as `open_sources` does, however many defects they have.

    Beside each source stands `<name>__all`: every row, whenever it arrived, with its `defect`; and
    `<name>__repeated`, the keys that more than one good row carries.

    Raises:
        SourceError: a source has no definition, cannot be read, or lacks a column.
    """
    connection = _in_utc(duckdb.connect())
    try:
        definitions = {}
        for name in sorted(names):
            located = locate_source(settings, name, model_folders)
            definitions[name] = located.definition
            _create_views(connection, located, as_of)
    except BaseException:
        connection.close()
        raise
    return Sources(connection, definitions, as_of)


def _in_utc(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    return connection.execute("SET TimeZone = 'UTC'")


def arrived(source: SourceDefinition, as_of: datetime) -> str:
    """Return the condition of the rows that had arrived; one whose arrival is unknown counts as here."""
    if not source.arrival:
        return "true"
    column = quoted(source.arrival)
    return f"({column} < TIMESTAMP '{_naive(as_of)}' OR {column} IS NULL)"


def _create_views(connection: duckdb.DuckDBPyConnection, located: LocatedSource, as_of: datetime) -> None:
    source = located.definition
    types = located.raw_columns(connection)
    missing = located.missing(types)
    if missing:
        raise SourceError(
            f"source {source.name!r} lacks the column {', '.join(repr(name) for name in missing)} in "
            f"{located.uri}; its columns are: {', '.join(types)}"
        )
    columns = ", ".join(f"{_expression(source, name, types)} AS {quoted(name)}" for name in source.columns)
    connection.execute(
        f"CREATE VIEW {quoted(source.name + ALL)} AS SELECT *, {defect_expression(source)} AS {DEFECT} "  # noqa: S608
        f"FROM (SELECT {columns} FROM {located.relation})"
    )
    _create_clean_view(connection, located, as_of)


def _create_clean_view(
    connection: duckdb.DuckDBPyConnection, located: LocatedSource, as_of: datetime
) -> None:
    source = located.definition
    columns = ", ".join(quoted(name) for name in source.columns)
    good = (
        f"SELECT {columns} FROM {quoted(source.name + ALL)} "  # noqa: S608 - names are validated
        f"WHERE {DEFECT} IS NULL AND {arrived(source, as_of)}"
    )
    if not _has_repeated(connection, located, good):
        connection.execute(f"CREATE VIEW {quoted(source.name)} AS {good}")
        return
    keys = ", ".join(quoted(name) for name in source.checks.key)
    connection.execute(
        f"CREATE TABLE {quoted(source.name + '__first')} AS SELECT {columns} FROM ({good}) "  # noqa: S608
        f"SEMI JOIN {quoted(source.name + REPEATED)} USING ({keys}) QUALIFY {order_of_arrival(source)} = 1"
    )
    connection.execute(
        f"CREATE VIEW {quoted(source.name)} AS SELECT {columns} FROM ({good}) "  # noqa: S608
        f"ANTI JOIN {quoted(source.name + REPEATED)} USING ({keys}) "
        f"UNION ALL SELECT * FROM {quoted(source.name + '__first')}"
    )


def order_of_arrival(source: SourceDefinition) -> str:
    """Return the window that numbers the rows of a key, the first to arrive being 1."""
    keys = ", ".join(quoted(name) for name in source.checks.key)
    order = [source.arrival] if source.arrival else []
    columns = ", ".join(quoted(name) for name in (*order, *source.columns))
    return f"row_number() OVER (PARTITION BY {keys} ORDER BY {columns})"


def _has_repeated(connection: duckdb.DuckDBPyConnection, located: LocatedSource, good: str) -> bool:
    source = located.definition
    if not source.checks.key:
        return False
    keys = ", ".join(quoted(name) for name in source.checks.key)
    try:
        connection.execute(
            f"CREATE TABLE {quoted(source.name + REPEATED)} AS "  # noqa: S608 - names are validated
            f"SELECT {keys} FROM ({good}) GROUP BY ALL HAVING count(*) > 1"
        )
    except duckdb.Error as error:
        raise _wrong_type(located, error) from error
    counted = connection.execute(f"SELECT count(*) FROM {quoted(source.name + REPEATED)}")  # noqa: S608
    return bool(counted.fetchall()[0][0])


def _wrong_type(located: LocatedSource, error: duckdb.Error) -> SourceError:
    return SourceError(
        f"source {located.definition.name!r} has a value of the wrong type in {located.uri}: {error}"
    )


def _expression(source: SourceDefinition, name: str, types: Mapping[str, str]) -> str:
    column = source.columns[name]
    if column.otherwise is not None and column.column not in types:
        return _expression(source, column.otherwise, types)
    raw = quoted(column.column)
    if column.type is ColumnType.TIMESTAMP and types[column.column] == "TIMESTAMP WITH TIME ZONE":
        return f"timezone('UTC', {raw})"
    return f"CAST({raw} AS {_SQL_TYPES[column.type]})"


def _check_defects(sources: Sources, source: SourceDefinition) -> None:
    # Counting a column makes DuckDB convert its values, so that a wrong type shows here.
    counted = ", ".join(f"count({quoted(name)})" for name in source.columns)
    query = (
        f"SELECT {DEFECT}, count(*), {counted} FROM {quoted(source.name + ALL)} "  # noqa: S608 - validated
        f"WHERE {arrived(source, sources.as_of)} GROUP BY {DEFECT} ORDER BY count(*) DESC"
    )
    try:
        rows = sources.connection.execute(query).fetchall()
    except duckdb.Error as error:
        raise SourceError(f"source {source.name!r} has a value of the wrong type: {error}") from error
    found = {reason: count for reason, count, *_ in rows}
    total = sum(found.values())
    defects = total - found.pop(None, 0)
    if defects > total * source.checks.defect_ratio:
        reasons = "; ".join(f"{reason} in {count} rows" for reason, count in found.items())
        raise SourceError(
            f"source {source.name!r}: {defects} of {total} rows are unfit ({reasons}); at most "
            f"{source.checks.defect_ratio:.2%} may be (checks.defect_ratio): repair the data"
        )


def _naive(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
