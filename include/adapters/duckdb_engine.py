"""Queries on this machine: DuckDB in the process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow

from include.adapters.defects import literal, quoted
from include.adapters.engines import EngineError, Parameters, RawRows


@dataclass(frozen=True)
class DuckDBEngine:
    """A DuckDB of its own; whoever needs more than an engine offers takes its connection."""

    connection: duckdb.DuckDBPyConnection

    @classmethod
    def new(cls, *, keeps_order: bool = True) -> "DuckDBEngine":
        """Return one without relations."""
        connection = _in_utc(duckdb.connect()).execute("SET enable_progress_bar = false")
        return cls(connection.execute(f"SET preserve_insertion_order = {keeps_order}"))

    def raw(self, uri: str) -> RawRows:
        """Return the rows of Parquet or CSV files."""
        relation = raw_relation(uri)
        with _failures():
            raw = self.connection.sql(f"SELECT * FROM {relation}")  # noqa: S608 - the URI is quoted
            return RawRows(relation, dict(zip(raw.columns, (str(item) for item in raw.types), strict=True)))

    def create_view(self, name: str, query: str) -> None:
        """Name a query."""
        with _failures():
            self.connection.execute(f"CREATE VIEW {quoted(name)} AS {query}")

    def create_table(self, name: str, query: str, parameters: Parameters | None = None) -> None:
        """Name the rows a query gives now."""
        with _failures():
            self.connection.execute(f"CREATE TABLE {quoted(name)} AS {query}", parameters).fetchall()

    def register(self, name: str, rows: pyarrow.Table) -> None:
        """Name rows that are here; to a connection beside this one they are unknown."""
        with _failures():
            self.connection.register(name, rows)

    def columns(self, query: str) -> list[str]:
        """Return the columns a query gives."""
        with _failures():
            return list(self.connection.sql(query).columns)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Return the few rows of a query."""
        with _failures():
            return list(self.connection.execute(query).fetchall())

    def table(self, query: str) -> pyarrow.Table:
        """Return the rows of a query."""
        with _failures():
            return self.connection.sql(query).to_arrow_table()

    def tables(self, query: str, day: str) -> Iterator[pyarrow.Table]:  # noqa: ARG002 - all days are in one
        """Yield the rows of a query as one table."""
        yield self.table(query)

    def beside(self) -> "DuckDBEngine":
        """Return an engine on a connection of its own."""
        return DuckDBEngine(_in_utc(self.connection.cursor()))

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def raw_relation(uri: str) -> str:
    """Return the table function that reads files."""
    reader = "read_csv" if uri.endswith((".csv", ".csv.gz")) else "read_parquet"
    return f"{reader}({literal(uri)})"


def _in_utc(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    return connection.execute("SET TimeZone = 'UTC'")


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise EngineError(str(error)) from error
