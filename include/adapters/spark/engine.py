"""Queries on many machines: translated, run by Spark, what is large handed over as Parquet files.

Files pass between the platform and Spark's workers under `NINETY_HOME`, which all of them see.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow
import pyarrow.fs
import pyarrow.parquet
from pyarrow import compute

from include.adapters.defects import quoted
from include.adapters.engines import EngineError, Parameters, RawRows
from include.adapters.spark.dialect import translate
from include.adapters.spark.session import spark_session
from include.config.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_DUCKDB_TYPES = {"timestamp": "TIMESTAMP WITH TIME ZONE", "timestamp_ntz": "TIMESTAMP"}


@dataclass(frozen=True)
class SparkEngine:
    """Relations as temporary views, each under a name nobody else has: sessions are shared by threads."""

    session: "SparkSession"
    scratch: Path
    """Folder for the files of this engine's relations."""
    views: dict[str, str]
    """Spark's name of each relation."""
    cached: list["DataFrame"] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    """Those this engine named itself."""

    @classmethod
    def of(cls, settings: Settings) -> "SparkEngine":
        """Return one without relations.

        Raises:
            PlatformError: Spark or its Java is not installed.
        """
        return cls(spark_session(settings), settings.home / "spark" / uuid4().hex, {})

    def raw(self, uri: str) -> RawRows:
        """Return the rows of Parquet files.

        Raises:
            EngineError: they cannot be read, or are no Parquet.
        """
        if uri.endswith((".csv", ".csv.gz")):
            raise EngineError(
                "Spark would guess other types of a CSV file than DuckDB does: make Parquet of it"
            )
        with _failures():
            frame = self.session.read.parquet(_address(uri))
        name = f"__raw_{uuid4().hex}"
        self._name(name, frame)
        types = {each.name: each.dataType.simpleString() for each in frame.schema}
        return RawRows(quoted(name), {name: _DUCKDB_TYPES.get(kind, kind) for name, kind in types.items()})

    def create_view(self, name: str, query: str) -> None:
        """Name a query."""
        self._name(name, self._frame(query))

    def create_table(self, name: str, query: str, parameters: Parameters | None = None) -> None:
        """Name the rows a query gives now; Spark keeps them where they were computed."""
        frame = self._frame(query, parameters).persist()
        self.cached.append(frame)
        self._name(name, frame)

    def register(self, name: str, rows: pyarrow.Table) -> None:
        """Name rows that are here."""
        path = self.scratch / f"{uuid4().hex}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(rows, path, coerce_timestamps="us", allow_truncated_timestamps=True)
        with _failures():
            self._name(name, self.session.read.parquet(_address(str(path))))

    def columns(self, query: str) -> list[str]:
        """Return the columns a query gives."""
        return list(self._frame(query).columns)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Return the few rows of a query."""
        table = self.table(query)
        columns = [[_plain(value) for value in column.to_pylist()] for column in table.columns]
        return list(zip(*columns, strict=True))

    def table(self, query: str) -> pyarrow.Table:
        """Return the rows of a query."""
        with _failures():
            return _as_duckdb(self._frame(query).toArrow())

    def tables(self, query: str, day: str) -> Iterator[pyarrow.Table]:
        """Yield the rows of an ordered query day by day; memory is bounded by a day and a file of Spark's."""
        folder = self.scratch / uuid4().hex
        with _failures():
            self._frame(query).write.parquet(_address(str(folder)))
        pending: list[pyarrow.Table] = []
        # Spark numbers the files of an ordered result in its order.
        for path in sorted(folder.glob("part-*.parquet")):
            for table in _by_day(_as_duckdb(pyarrow.parquet.read_table(path)), day):
                if pending and pending[-1][day][0] != table[day][0]:
                    yield pyarrow.concat_tables(pending).combine_chunks()
                    pending = []
                pending.append(table)
        if pending:
            yield pyarrow.concat_tables(pending).combine_chunks()
        shutil.rmtree(folder)

    def beside(self) -> "SparkEngine":
        """Return an engine with the same relations and room for its own."""
        return SparkEngine(self.session, self.scratch / uuid4().hex, dict(self.views))

    def close(self) -> None:
        """Forget the relations and delete their files."""
        for frame in self.cached:
            frame.unpersist()
        for view in self.own:
            self.session.catalog.dropTempView(view)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _frame(self, query: str, parameters: Parameters | None = None) -> "DataFrame":
        spoken = translate(query, self.views, parameters)
        with _failures():
            return self.session.sql(spoken)

    def _name(self, name: str, frame: "DataFrame") -> None:
        view = f"ninety_{uuid4().hex}"
        frame.createOrReplaceTempView(view)
        self.own.append(view)
        self.views[name] = view


def _address(uri: str) -> str:
    """Return what Spark calls a file or bucket."""
    if "://" not in uri:
        return f"file://{Path(uri).absolute()}"
    return uri.replace("s3://", "s3a://", 1) if uri.startswith("s3://") else uri


def _without_nanoseconds(frame: "DataFrame") -> "DataFrame":
    """Make microseconds of nanoseconds, as DuckDB does; Spark reads them as numbers."""
    from pyspark.sql import functions  # noqa: PLC0415 - there once a session is

    files = frame.inputFiles()
    if not files:
        return frame
    system, path = pyarrow.fs.FileSystem.from_uri(files[0].replace("s3a://", "s3://", 1))
    for each in pyarrow.parquet.read_schema(path, filesystem=system):
        if pyarrow.types.is_timestamp(each.type) and each.type.unit == "ns":
            moment = functions.expr(f"timestamp_micros(`{each.name}` div 1000)")
            kind = "timestamp" if each.type.tz else "timestamp_ntz"
            frame = frame.withColumn(each.name, moment.cast(kind))
    return frame


def _plain(value: object) -> object:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def _as_duckdb(table: pyarrow.Table) -> pyarrow.Table:
    """Return rows without what Spark knows of their columns beside name and type."""
    return table.cast(pyarrow.schema([each.with_nullable(True).remove_metadata() for each in table.schema]))


def _by_day(table: pyarrow.Table, day: str) -> Iterator[pyarrow.Table]:
    """Part an ordered table where its day changes."""
    offset = 0
    for counted in compute.value_counts(table[day]).to_pylist():
        yield table.slice(offset, counted["counts"])
        offset += counted["counts"]


@contextmanager
def _failures() -> Iterator[None]:
    from pyspark.errors import PySparkException  # noqa: PLC0415 - there once a session is

    try:
        yield
    except PySparkException as error:
        raise EngineError(str(error)) from error
