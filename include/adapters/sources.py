"""Raw sources as DuckDB views: canonical columns, and only rows that had arrived by a moment."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import yaml
from pydantic import ValidationError

from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.errors import SourceError
from include.contracts.sources import ColumnType, SourceColumn, SourceDefinition

SHARED_SOURCES = REPOSITORY_ROOT / "include" / "data" / "sources"
SOURCES_NAME = "sources"
"""Folder of a model folder that holds its own source definitions."""

_SQL_TYPES = {
    ColumnType.INT64: "BIGINT",
    ColumnType.FLOAT64: "DOUBLE",
    ColumnType.STRING: "VARCHAR",
    ColumnType.BOOL: "BOOLEAN",
    ColumnType.TIMESTAMP: "TIMESTAMP",
}
_PACKAGE_SCHEME = "package:"


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
    """Open sources by name, each as a DuckDB view of the rows with `ingested_at` < `as_of`.

    Args:
        settings: `settings.sources` replaces a source's URI.
        as_of: moment to look from.
        names: sources to open; a model folder's own definition comes before the shared one.
        model_folders: model folders whose `sources/` are searched too.

    Raises:
        SourceError: a source has no definition, cannot be read, lacks a column, or holds a value that is
            not of the column's type or a null where none may be.
    """
    folders = (*(folder / SOURCES_NAME for folder in model_folders), SHARED_SOURCES)
    connection = duckdb.connect()
    try:
        connection.execute("SET TimeZone = 'UTC'")
        definitions = {}
        for name in sorted(names):
            path = _definition_path(folders, name)
            definitions[name] = _read_definition(path)
            uri = settings.sources.get(name) or _located(definitions[name].uri, path.parent)
            _create_view(connection, definitions[name], uri, as_of)
    except BaseException:
        connection.close()
        raise
    return Sources(connection, definitions, as_of)


def _definition_path(folders: Sequence[Path], name: str) -> Path:
    for folder in folders:
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    raise SourceError(
        f"no source {name!r}: there is no {name}.yaml in {', '.join(str(folder) for folder in folders)}"
    )


def _read_definition(path: Path) -> SourceDefinition:
    try:
        definition = SourceDefinition.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise SourceError(f"{path}: {error}") from error
    if definition.name != path.stem:
        raise SourceError(f"{path}: the source's name {definition.name!r} must equal its file's name")
    return definition


def _located(uri: str, folder: Path) -> str:
    if not uri.startswith(_PACKAGE_SCHEME):
        return str(folder / uri)
    package, _, path = uri.removeprefix(_PACKAGE_SCHEME).partition("/")
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SourceError(f"{uri}: the package {package!r} is not installed; run `make setup`")
    return str(Path(next(iter(found.submodule_search_locations))) / path)


def _create_view(
    connection: duckdb.DuckDBPyConnection, source: SourceDefinition, uri: str, as_of: datetime
) -> None:
    reader = "read_csv" if uri.endswith((".csv", ".csv.gz")) else "read_parquet"
    quoted_uri = uri.replace("'", "''")
    relation = f"{reader}('{quoted_uri}')"
    try:
        raw = connection.sql(f"SELECT * FROM {relation}")  # noqa: S608 - the URI is quoted
    except duckdb.Error as error:
        raise SourceError(f"source {source.name!r} cannot be read from {uri}: {error}") from error
    types = dict(zip(raw.columns, (str(item) for item in raw.types), strict=True))
    _check_columns(source, uri, types)
    columns = ", ".join(
        f'{_expression(column, types[column.column])} AS "{name}"' for name, column in source.columns.items()
    )
    arrived = f"WHERE \"{source.arrival}\" < TIMESTAMP '{_naive(as_of)}'" if source.arrival else ""
    connection.execute(
        f'CREATE VIEW "{source.name}" AS SELECT * FROM (SELECT {columns} FROM {relation}) {arrived}'  # noqa: S608
    )
    _check_values(connection, source, uri)


def _expression(column: SourceColumn, raw_type: str) -> str:
    name = '"' + column.column.replace('"', '""') + '"'
    if column.type is ColumnType.TIMESTAMP and raw_type == "TIMESTAMP WITH TIME ZONE":
        return f"timezone('UTC', {name})"
    return f"CAST({name} AS {_SQL_TYPES[column.type]})"


def _check_columns(source: SourceDefinition, uri: str, found: Mapping[str, str]) -> None:
    missing = sorted(item.column for item in source.columns.values() if item.column not in found)
    if missing:
        raise SourceError(
            f"source {source.name!r} lacks the column {', '.join(repr(name) for name in missing)} in {uri}; "
            f"its columns are: {', '.join(found)}"
        )


def _check_values(connection: duckdb.DuckDBPyConnection, source: SourceDefinition, uri: str) -> None:
    counts = ", ".join(
        f'count(*) FILTER ("{name}" IS NULL)' if not column.nullable else f'count("{name}") * 0'
        for name, column in source.columns.items()
    )
    try:
        nulls = connection.execute(f'SELECT {counts} FROM "{source.name}"').fetchall()[0]  # noqa: S608
    except duckdb.Error as error:
        raise SourceError(
            f"source {source.name!r} has a value of the wrong type in {uri}: {error}"
        ) from error
    for (name, column), count in zip(source.columns.items(), nulls, strict=True):
        if count:
            raise SourceError(
                f"source {source.name!r}: column {column.column!r} ({name}) is null in {count} rows "
                f"of {uri}; repair the data or declare the column nullable"
            )


def _naive(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
