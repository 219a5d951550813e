"""What runs the platform's SQL: DuckDB on this machine, or Spark on many.

Queries are written once, in DuckDB's dialect; an engine that speaks another one translates them. Which
engine it is says `NINETY_ENGINE`; nothing of Spark is imported where it says DuckDB.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pyarrow

from include.config.settings import EngineName, Settings

Value = str | int | float | datetime | None
Parameters = Mapping[str, Value]
"""What stands for the `$name` of a query; all of them are used."""


class EngineError(Exception):
    """A query failed; callers say whose query it was."""


@dataclass(frozen=True)
class RawRows:
    """Rows as they lie in files."""

    relation: str
    """What stands behind FROM."""
    types: Mapping[str, str]
    """DuckDB's name of each column's type."""


class Engine(Protocol):
    """Named relations and queries over them. Times without a zone are UTC."""

    def raw(self, uri: str) -> RawRows:
        """Return the rows of a file, or of many by a pattern.

        Raises:
            EngineError: they cannot be read.
        """

    def create_view(self, name: str, query: str) -> None:
        """Name a query; it runs each time it is asked."""

    def create_table(self, name: str, query: str, parameters: Parameters | None = None) -> None:
        """Name the rows a query gives now; parameters stand in it as `$name`."""

    def register(self, name: str, rows: pyarrow.Table) -> None:
        """Name rows that are here, in place of what had the name."""

    def columns(self, query: str) -> list[str]:
        """Return the columns a query gives, without running it."""

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Return the few rows of a query; moments without a zone."""

    def table(self, query: str) -> pyarrow.Table:
        """Return the rows of a query."""

    def tables(self, query: str, day: str) -> Iterator[pyarrow.Table]:
        """Yield the rows of an ordered query in order, every day of the column `day` whole in one table."""

    def beside(self) -> "Engine":
        """Return an engine with the same relations, for another thread; it ends with this one."""

    def close(self) -> None:
        """Forget the relations."""


def open_engine(settings: Settings, *, keeps_order: bool = True) -> Engine:
    """Return the engine the settings name, with no relations yet.

    Args:
        settings: say which.
        keeps_order: whether DuckDB gives rows in the order of its input where a query asks for none, which
            costs memory; Spark never does.

    Raises:
        PlatformError: Spark is asked for and not installed.
    """
    if settings.engine is EngineName.SPARK:
        # Only who asks for Spark has it.
        from include.adapters.spark.engine import SparkEngine  # noqa: PLC0415

        return SparkEngine.of(settings)
    from include.adapters.duckdb_engine import DuckDBEngine  # noqa: PLC0415 - it imports this module

    return DuckDBEngine.new(keeps_order=keeps_order)
