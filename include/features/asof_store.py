"""Feast's DuckDB offline store with point-in-time joins by DuckDB's ASOF join.

For each entity row Feast wants the newest feature row at or before it, unless that row is older than the
view's TTL; among rows with one timestamp the one created last. Feast's own store joins every candidate and
ranks them; an ASOF join sorts both sides once, and keeps the order of the entity rows here.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import duckdb
import numpy
import pandas
import pyarrow
from feast.data_format import ParquetFormat
from feast.data_source import DataSource
from feast.feature_view import FeatureView
from feast.infra.offline_stores import offline_utils
from feast.infra.offline_stores.duckdb import DuckDBOfflineStore, DuckDBOfflineStoreConfig
from feast.infra.offline_stores.file_source import FileSource
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import RepoConfig
from pyarrow import compute

from include.contracts.errors import DataError
from include.features.joined_view import JoinedView

ENTITY_ROW = "__entity_row"
"""Column with the number of an entity row."""
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class AsofOfflineStoreConfig(DuckDBOfflineStoreConfig):  # type: ignore[misc] # Feast has no types
    """Configuration of the ASOF store; Feast finds it by its name beside the store's class."""

    type: str = "include.features.asof_store.AsofOfflineStore"


class AsofRetrievalJob(RetrievalJob):  # type: ignore[misc] # Feast has no types
    """A query that runs when its result is asked for; on-demand views are run by the class above."""

    def __init__(
        self,
        run: Callable[[], pyarrow.Table],
        full_feature_names: bool = False,
        on_demand_feature_views: Sequence[OnDemandFeatureView] = (),
        metadata: RetrievalMetadata | None = None,
    ) -> None:
        self._run = run
        self._full_feature_names = full_feature_names
        self._on_demand_feature_views = list(on_demand_feature_views)
        self._metadata = metadata

    @property
    def full_feature_names(self) -> bool:
        """Whether features are named `<view>__<feature>`."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """Views to compute on top of the result."""
        return self._on_demand_feature_views

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """What was asked for."""
        return self._metadata

    def _to_arrow_internal(self, timeout: int | None = None) -> pyarrow.Table:  # noqa: ARG002 - Feast's signature
        return self._run()

    def _to_df_internal(self, timeout: int | None = None) -> pandas.DataFrame:
        frame: pandas.DataFrame = self._to_arrow_internal(timeout).to_pandas()
        return frame


class AsofOfflineStore(DuckDBOfflineStore):  # type: ignore[misc] # Feast has no types
    """DuckDB offline store; Parquet views are joined by ASOF, all else as Feast does it."""

    @staticmethod
    def get_historical_features(  # noqa: PLR0917 - Feast's signature
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pandas.DataFrame | str,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
    ) -> RetrievalJob:
        """Join features to entity rows, each as of the row's timestamp; rows keep their order.

        Timestamps without a zone are UTC. A cut-off by creation time is not one ASOF join, and sources
        other than Parquet files are not ours: both go to Feast's own store.

        Raises:
            DataError: the entity rows are a query; there is no database here that it could run in.
        """
        if isinstance(entity_df, str):
            raise DataError(
                "entity rows as SQL need a database to run in, which files are not; run the query yourself, "
                "for instance with duckdb.sql(...).df(), and pass the rows"
            )
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        if (
            filter_by_created_timestamp
            or any(item.mode == "substrait" for item in on_demand)
            or not all(_is_parquet(view.batch_source) for view in feature_views)
        ):
            return DuckDBOfflineStore.get_historical_features(
                config,
                feature_views,
                feature_refs,
                entity_df,
                registry,
                project,
                full_feature_names,
                filter_by_created_timestamp,
            )
        timestamp = offline_utils.infer_event_timestamp_from_entity_df(
            dict(zip(entity_df.columns, entity_df.dtypes, strict=True))
        )
        rows = entity_rows(entity_df, timestamp)
        joins = [
            _AsofJoin.of(
                view,
                feature_refs,
                _relation(view.batch_source, str(config.repo_path)),
                full_names=full_feature_names,
            )
            for view in feature_views
        ]
        bounds = compute.min_max(rows[timestamp]).as_py()
        metadata = RetrievalMetadata(
            features=feature_refs,
            keys=[name for name in entity_df.columns if name != timestamp],
            min_event_timestamp=bounds["min"],
            max_event_timestamp=bounds["max"],
        )
        return AsofRetrievalJob(
            lambda: _joined(rows, timestamp, joins), full_feature_names, on_demand, metadata
        )

    @staticmethod
    def pull_latest_from_table_or_query(  # noqa: PLR0917 - Feast's signature
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        """Return each entity's newest row stamped in [start_date, end_date], both ends included."""
        if not _is_parquet(data_source):
            return DuckDBOfflineStore.pull_latest_from_table_or_query(
                config,
                data_source,
                join_key_columns,
                feature_name_columns,
                timestamp_field,
                created_timestamp_column,
                start_date,
                end_date,
            )
        times = [timestamp_field] + ([created_timestamp_column] if created_timestamp_column else [])
        columns = _names([*join_key_columns, *feature_name_columns, *times])
        newest_first = ", ".join(f"{_name(item)} DESC NULLS LAST" for item in times)
        query = (
            f"SELECT {columns} FROM {_relation(data_source, str(config.repo_path))} "  # noqa: S608 - quoted
            f"WHERE {_name(timestamp_field)} BETWEEN {_moment(start_date)} AND {_moment(end_date)} "
            f"QUALIFY row_number() OVER (PARTITION BY {_names(join_key_columns)} "
            f"ORDER BY {newest_first}) = 1 ORDER BY {_names(join_key_columns)}"
        )
        return AsofRetrievalJob(lambda: _run(query))


class _AsofJoin(JoinedView):
    """One view's part of the query."""

    def sql(self, timestamp: str, first: datetime, last: datetime) -> str:
        """Return the query of the features in the order of the entity rows.

        The file's rows are bounded to those any entity row could use.
        """
        earliest = f"{_name(self.timestamp)} >= {_moment(first - self.ttl)} AND " if self.ttl else ""
        keys = [old for old, _ in self.keys]
        newest_created = (
            f"QUALIFY row_number() OVER (PARTITION BY {_names(keys)}, {_name(self.timestamp)} "
            f"ORDER BY {_name(self.created)} DESC NULLS LAST) = 1"
            if self.created
            else ""
        )
        columns = _names(dict.fromkeys([*keys, *(old for old, _ in self.features)]))
        matches = " AND ".join(f"f.{_name(old)} = e.{_name(theirs)}" for old, theirs in self.keys)
        return (
            f"SELECT {', '.join(self._columns(timestamp))} FROM entity_rows AS e "  # noqa: S608 - quoted
            f"ASOF LEFT JOIN (SELECT {columns}, epoch_us({_name(self.timestamp)}) AS __stamp "
            f"FROM {self.relation} WHERE {earliest}{_name(self.timestamp)} <= {_moment(last)} "
            f"{newest_created}) AS f ON {matches} AND epoch_us(e.{_name(timestamp)}) >= f.__stamp "
            f"ORDER BY e.{ENTITY_ROW}"
        )

    def _columns(self, timestamp: str) -> list[str]:
        """Return the features as expressions, null where the row found is older than the TTL."""
        if self.ttl is None:
            return [f"f.{_name(old)} AS {_name(new)}" for old, new in self.features]
        fresh = f"f.__stamp + {self.ttl // _MICROSECOND} >= epoch_us(e.{_name(timestamp)})"
        return [f"CASE WHEN {fresh} THEN f.{_name(old)} END AS {_name(new)}" for old, new in self.features]


def entity_rows(entity_df: pandas.DataFrame, timestamp: str) -> pyarrow.Table:
    """Return entity rows with their number, moments in UTC and microseconds."""
    frame = entity_df.assign(**{timestamp: pandas.to_datetime(entity_df[timestamp], utc=True)})
    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    for index, field in enumerate(table.schema):
        # DuckDB does not compare zoned nanoseconds with zoned microseconds.
        if pyarrow.types.is_timestamp(field.type) and field.type.tz is not None:
            zoned = table.column(index).cast(pyarrow.timestamp("us", "UTC"), safe=False)
            table = table.set_column(index, field.name, zoned)
    return table.append_column(ENTITY_ROW, pyarrow.array(numpy.arange(table.num_rows)))


def _joined(rows: pyarrow.Table, timestamp: str, joins: Sequence[_AsofJoin]) -> pyarrow.Table:
    bounds = compute.min_max(rows[timestamp]).as_py()
    first, last = bounds["min"] or _EPOCH, bounds["max"] or _EPOCH
    result = rows.drop_columns([ENTITY_ROW])
    with _connection() as connection:
        connection.register("entity_rows", rows)
        # View by view: a single query would carry the columns of all through every join's sort.
        for join in joins:
            found = connection.sql(join.sql(timestamp, first, last)).to_arrow_table()
            for name in found.column_names:
                result = result.append_column(name, found[name])
    return result


def _run(query: str) -> pyarrow.Table:
    with _connection() as connection:
        return connection.sql(query).to_arrow_table()


def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect().execute("SET TimeZone = 'UTC'")


def _is_parquet(source: DataSource | None) -> bool:
    return (
        isinstance(source, FileSource)
        and (source.file_format is None or isinstance(source.file_format, ParquetFormat))
        and "://" not in source.path
    )


def _relation(source: FileSource, folder: str) -> str:
    path = FileSource.get_uri_for_file_path(repo_path=folder, uri=source.path)
    quoted = str(path).removeprefix("file://").replace("'", "''")
    return f"read_parquet('{quoted}', hive_partitioning = false)"


def _moment(moment: datetime) -> str:
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return f"TIMESTAMPTZ '{zoned.astimezone(UTC).isoformat(sep=' ')}'"


def _name(column: str | None) -> str:
    return '"' + str(column).replace('"', '""') + '"'


def _names(columns: Iterable[str]) -> str:
    return ", ".join(_name(column) for column in columns)
