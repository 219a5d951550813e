"""Raw sources as views of an engine: canonical columns, and only rows that had arrived by a moment."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from include.adapters.defects import DEFECT, defect_expression, quoted
from include.adapters.duckdb_engine import DuckDBEngine
from include.adapters.engines import Engine, EngineError
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
    """Open sources as of a moment: one view each; times in SQL are `TIMESTAMP`s in UTC."""

    engine: Engine
    definitions: Mapping[str, SourceDefinition]
    as_of: datetime

    def __enter__(self) -> "Sources":
        """Return the open sources."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.engine.close()

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """DuckDB's connection, for who asks what only DuckDB answers and opened the sources there."""
        if not isinstance(self.engine, DuckDBEngine):
            raise TypeError("these sources are not open in DuckDB")
        return self.engine.connection

    def beside(self) -> "Sources":
        """Return the same sources for another thread, with room for relations of its own."""
        return Sources(self.engine.beside(), self.definitions, self.as_of)

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
            first, last = self.engine.rows(query)[0]
            if isinstance(first, datetime) and isinstance(last, datetime):
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
    settings: Settings,
    as_of: datetime,
    names: Iterable[str],
    model_folders: Sequence[Path] = (),
    engine: Engine | None = None,
) -> Sources:
    """Open sources by name, each as a view of its good rows with `ingested_at` < `as_of`.

    A row with a defect (a null where none may be, a value out of its range, an event after its arrival) is
    left out, and so is every row after the first of its key.

    Args:
        settings: `settings.sources` replaces a source's URI.
        as_of: moment to look from.
        names: sources to open; a model folder's own definition comes before the shared one.
        model_folders: model folders whose `sources/` are searched too.
        engine: where to open them; None means a DuckDB of their own. The sources close it.

    Raises:
        SourceError: a source has no definition, cannot be read, lacks a column, holds a value that is not of
            the column's type, or has more defects than its checks allow.
    """
    sources = examine_sources(settings, as_of, names, model_folders, engine)
    try:
        for definition in sources.definitions.values():
            _check_defects(sources, definition)
    except BaseException:
        sources.engine.close()
        raise
    return sources


def examine_sources(
    settings: Settings,
    as_of: datetime,
    names: Iterable[str],
    model_folders: Sequence[Path] = (),
    engine: Engine | None = None,
) -> Sources:
    """Open sources as `open_sources` does, however many defects they have.

    Beside each source stands `<name>__all`: every row, whenever it arrived, with its `defect`; and
    `<name>__repeated`, the keys that more than one good row carries.

    Raises:
        SourceError: a source has no definition, cannot be read, or lacks a column.
    """
    opened = engine or DuckDBEngine.new()
    try:
        definitions = {}
        for name in sorted(names):
            located = locate_source(settings, name, model_folders)
            definitions[name] = located.definition
            _create_views(opened, located, as_of)
    except BaseException:
        opened.close()
        raise
    return Sources(opened, definitions, as_of)


def arrived(source: SourceDefinition, as_of: datetime) -> str:
    """Return the condition of the rows that had arrived; one whose arrival is unknown counts as here."""
    if not source.arrival:
        return "true"
    column = quoted(source.arrival)
    return f"({column} < TIMESTAMP '{_naive(as_of)}' OR {column} IS NULL)"


def _create_views(engine: Engine, located: LocatedSource, as_of: datetime) -> None:
    source = located.definition
    raw = located.raw(engine)
    missing = located.missing(raw.types)
    if missing:
        raise SourceError(
            f"source {source.name!r} lacks the column {', '.join(repr(name) for name in missing)} in "
            f"{located.uri}; its columns are: {', '.join(raw.types)}"
        )
    columns = ", ".join(
        f"{_expression(source, name, raw.types)} AS {quoted(name)}" for name in source.columns
    )
    engine.create_view(
        source.name + ALL,
        f"SELECT *, {defect_expression(source)} AS {DEFECT} "  # noqa: S608
        f"FROM (SELECT {columns} FROM {raw.relation}) AS canonical",
    )
    _create_clean_view(engine, located, as_of)


def _create_clean_view(engine: Engine, located: LocatedSource, as_of: datetime) -> None:
    source = located.definition
    columns = ", ".join(quoted(name) for name in source.columns)
    good = (
        f"SELECT {columns} FROM {quoted(source.name + ALL)} "  # noqa: S608 - names are validated
        f"WHERE {DEFECT} IS NULL AND {arrived(source, as_of)}"
    )
    if not _has_repeated(engine, located, good):
        engine.create_view(source.name, good)
        return
    keys = ", ".join(quoted(name) for name in source.checks.key)
    engine.create_table(
        source.name + "__first",
        f"SELECT {columns} FROM ({good}) AS good "  # noqa: S608
        f"SEMI JOIN {quoted(source.name + REPEATED)} USING ({keys}) QUALIFY {order_of_arrival(source)} = 1",
    )
    engine.create_view(
        source.name,
        f"SELECT {columns} FROM ({good}) AS good "  # noqa: S608
        f"ANTI JOIN {quoted(source.name + REPEATED)} USING ({keys}) "
        f"UNION ALL SELECT * FROM {quoted(source.name + '__first')}",
    )


def order_of_arrival(source: SourceDefinition) -> str:
    """Return the window that numbers the rows of a key, the first to arrive being 1."""
    keys = ", ".join(quoted(name) for name in source.checks.key)
    order = [source.arrival] if source.arrival else []
    columns = ", ".join(quoted(name) for name in (*order, *source.columns))
    return f"row_number() OVER (PARTITION BY {keys} ORDER BY {columns})"


def _has_repeated(engine: Engine, located: LocatedSource, good: str) -> bool:
    source = located.definition
    if not source.checks.key:
        return False
    keys = ", ".join(quoted(name) for name in source.checks.key)
    try:
        engine.create_table(
            source.name + REPEATED,
            f"SELECT {keys} FROM ({good}) AS good GROUP BY {keys} HAVING count(*) > 1",  # noqa: S608
        )
        counted = engine.rows(f"SELECT count(*) FROM {quoted(source.name + REPEATED)}")  # noqa: S608
    except EngineError as error:
        raise SourceError(
            f"source {source.name!r} has a value of the wrong type in {located.uri}: {error}"
        ) from error
    return bool(counted[0][0])


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
        rows = sources.engine.rows(query)
    except EngineError as error:
        raise SourceError(f"source {source.name!r} has a value of the wrong type: {error}") from error
    found = {reason: int(str(count)) for reason, count, *_ in rows}
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
