"""Feast's Spark offline store with point-in-time joins that give what the ASOF store gives, row for row.

Feast's own, of the version pinned, gives other rows: of two feature rows with one timestamp it returns both,
so that an entity row comes back twice; it tells entity rows apart by their keys written one behind the other,
so that keys (1, 12) and (11, 2) are one; whole numbers with nulls come back as doubles; the order is lost. It
also joins every feature row within the TTL before it ranks them. Here entity and feature rows of a key are
put into one order, and each entity row takes the last feature row before it: one sort, as an ASOF join does.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas
import pyarrow
from feast.data_source import DataSource
from feast.feature_view import FeatureView
from feast.infra.offline_stores import offline_utils
from feast.infra.offline_stores.contrib.spark_offline_store.spark import (
    SparkOfflineStore,
    SparkOfflineStoreConfig,
    SparkRetrievalJob,
)
from feast.infra.offline_stores.offline_store import RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import RepoConfig
from pyspark.sql import DataFrame, SparkSession

from include.adapters.spark.session import session_under
from include.contracts.errors import DataError
from include.features.asof_store import ENTITY_ROW, entity_rows
from include.features.joined_view import JoinedView

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STAMP, _SIDE, _FOUND = "__stamp", "__side", "__found"


class SparkAsofOfflineStoreConfig(SparkOfflineStoreConfig):  # type: ignore[misc] # Feast has no types
    """Configuration of the store; Feast finds it by its name beside the store's class."""

    type: str = "include.features.spark_store.SparkAsofOfflineStore"


class SparkAsofRetrievalJob(SparkRetrievalJob):  # type: ignore[misc] # Feast has no types
    """Rows that are on the cluster until they are asked for."""

    def __init__(
        self,
        frame: DataFrame,
        config: RepoConfig,
        full_feature_names: bool = False,
        on_demand_feature_views: Sequence[OnDemandFeatureView] = (),
        metadata: RetrievalMetadata | None = None,
    ) -> None:
        super().__init__(
            frame.sparkSession, "", full_feature_names, config, list(on_demand_feature_views), metadata
        )
        self._frame = frame

    def to_spark_df(self) -> DataFrame:
        """Return the rows where they are."""
        return self._frame

    def _to_arrow_internal(self, timeout: int | None = None) -> pyarrow.Table:  # noqa: ARG002 - Feast's signature
        return self._frame.toArrow()

    def _to_df_internal(self, timeout: int | None = None) -> pandas.DataFrame:
        frame: pandas.DataFrame = self._to_arrow_internal(timeout).to_pandas()
        return frame


class SparkAsofOfflineStore(SparkOfflineStore):  # type: ignore[misc] # Feast has no types
    """Feast's Spark store; joins and latest rows are asked for here, all else as Feast does it."""

    supports_filter_by_created_timestamp = False

    @staticmethod
    def get_historical_features(  # noqa: PLR0917 - Feast's signature
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pandas.DataFrame | str | DataFrame,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        **_: Any,  # noqa: ANN401 - Feast's signature
    ) -> SparkAsofRetrievalJob:
        """Join features to entity rows, each as of the row's timestamp; rows keep their order.

        Entity rows may be a frame of pandas or of Spark, or a query of Spark's SQL; then they never leave the
        cluster, and come back in no particular order. Timestamps without a zone are UTC.

        Raises:
            DataError: no entity rows are given, or a cut-off by creation time is asked for.
        """
        if entity_df is None or filter_by_created_timestamp:
            raise DataError("Spark joins features to given entity rows, whenever features were created")
        session = session_under(config.offline_store.spark_conf)
        rows, timestamp, columns = _asked(session, entity_df)
        extremes = (f"{kind}({_name(timestamp)}) AS {kind}" for kind in ("min", "max"))
        bounds = rows.selectExpr(*extremes).toArrow().to_pylist()[0]
        first, last = bounds["min"] or _EPOCH, bounds["max"] or _EPOCH
        found = rows
        for view in feature_views:
            join = _AsofJoin.of(
                view,
                feature_refs,
                view.batch_source.get_table_query_string(),
                full_names=full_feature_names,
            )
            found = found.join(join.frame(session, rows, timestamp, first, last), ENTITY_ROW, "left")
        metadata = RetrievalMetadata(
            features=feature_refs,
            keys=[name for name in columns if name != timestamp],
            min_event_timestamp=first,
            max_event_timestamp=last,
        )
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        ordered = found.orderBy(ENTITY_ROW).drop(ENTITY_ROW)
        return SparkAsofRetrievalJob(ordered, config, full_feature_names, on_demand, metadata)

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
    ) -> SparkAsofRetrievalJob:
        """Return each entity's newest row stamped in [start_date, end_date], both ends included."""
        session = session_under(config.offline_store.spark_conf)
        times = [timestamp_field] + ([created_timestamp_column] if created_timestamp_column else [])
        columns = _names([*join_key_columns, *feature_name_columns, *times])
        newest_first = ", ".join(f"{_name(item)} DESC NULLS LAST" for item in times)
        query = (
            f"SELECT {columns} FROM (SELECT {columns}, row_number() OVER "  # noqa: S608 - quoted
            f"(PARTITION BY {_names(join_key_columns)} ORDER BY {newest_first}) AS __place "
            f"FROM {data_source.get_table_query_string()} "
            f"WHERE {_name(timestamp_field)} BETWEEN {_moment(start_date)} AND {_moment(end_date)}) "
            "WHERE __place = 1"
        )
        return SparkAsofRetrievalJob(session.sql(query), config)


class _AsofJoin(JoinedView):
    """One view's part of the query."""

    def frame(
        self, session: SparkSession, rows: DataFrame, timestamp: str, first: datetime, last: datetime
    ) -> DataFrame:
        """Return the features by the number of the entity row."""
        asked = ", ".join(f"{_name(theirs)} AS {_key(place)}" for place, (_, theirs) in enumerate(self.keys))
        keys = ", ".join(_key(place) for place in range(len(self.keys)))
        return session.sql(
            f"SELECT {ENTITY_ROW}, {', '.join(self._columns())} FROM ("  # noqa: S608 - quoted
            f"SELECT {ENTITY_ROW}, {_STAMP}, last({_FOUND}, true) OVER (PARTITION BY {keys} "
            f"ORDER BY {_STAMP}, {_SIDE} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS {_FOUND} "
            f"FROM ({self._candidates(first, last)} UNION ALL "
            f"SELECT {asked}, unix_micros({_name(timestamp)}), 1, {ENTITY_ROW}, NULL FROM {{rows}})) "
            f"WHERE {ENTITY_ROW} IS NOT NULL",
            rows=rows,
        )

    def _candidates(self, first: datetime, last: datetime) -> str:
        """Return the query of the rows that an entity row could use; of one timestamp the last created."""
        keys = [old for old, _ in self.keys]
        bounds = [
            f"{_name(self.timestamp)} <= {_moment(last)}",
            *(f"{_name(key)} IS NOT NULL" for key in keys),
        ]
        bounds += [f"{_name(self.timestamp)} >= {_moment(first - self.ttl)}"] if self.ttl else []
        newest = (
            f"row_number() OVER (PARTITION BY {_names([*keys, self.timestamp])} "
            f"ORDER BY {_name(self.created)} DESC NULLS LAST)"
            if self.created
            else "1"
        )
        named = ", ".join(f"{_name(key)} AS {_key(place)}" for place, key in enumerate(keys))
        values = "".join(f", {_name(old)} AS {_value(place)}" for place, (old, _) in enumerate(self.features))
        stamp = f"unix_micros({_name(self.timestamp)})"
        return (
            f"SELECT {', '.join(_key(place) for place in range(len(keys)))}, {_STAMP}, 0 AS {_SIDE}, "  # noqa: S608
            f"CAST(NULL AS BIGINT) AS {ENTITY_ROW}, {_FOUND} FROM (SELECT {named}, {stamp} AS {_STAMP}, "
            f"struct({stamp} AS stamp{values}) AS {_FOUND}, {newest} AS __newest FROM {self.relation} "
            f"WHERE {' AND '.join(bounds)}) WHERE __newest = 1"
        )

    def _columns(self) -> list[str]:
        """Return the features as expressions, null where the row found is older than the TTL."""
        values = {f"{_FOUND}.{_value(place)}": new for place, (_, new) in enumerate(self.features)}
        if self.ttl is None:
            return [f"{value} AS {_name(new)}" for value, new in values.items()]
        fresh = f"{_FOUND}.stamp + {self.ttl // _MICROSECOND} >= {_STAMP}"
        return [f"CASE WHEN {fresh} THEN {value} END AS {_name(new)}" for value, new in values.items()]


def _asked(
    session: SparkSession, entity_df: pandas.DataFrame | str | DataFrame
) -> tuple[DataFrame, str, list[str]]:
    """Return numbered entity rows, the column of their timestamps, and their columns."""
    if isinstance(entity_df, pandas.DataFrame):
        columns = list(entity_df.columns)
        timestamp = _timestamp(dict(zip(columns, entity_df.dtypes, strict=True)))
        return session.createDataFrame(entity_rows(entity_df, timestamp)), timestamp, columns
    frame = session.sql(entity_df) if isinstance(entity_df, str) else entity_df
    timestamp = _timestamp(dict(frame.limit(0).toPandas().dtypes))
    zoned = frame.withColumn(timestamp, frame[timestamp].cast("timestamp"))
    numbered = zoned.selectExpr("*", f"monotonically_increasing_id() AS {ENTITY_ROW}")
    # Kept, since a number must name the same row in every join.
    return numbered.localCheckpoint(), timestamp, list(frame.columns)


def _timestamp(schema: dict[str, Any]) -> str:
    name: str = offline_utils.infer_event_timestamp_from_entity_df(schema)
    return name


def _moment(moment: datetime) -> str:
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return f"TIMESTAMP '{zoned.astimezone(UTC).isoformat(sep=' ')}'"


def _key(place: int) -> str:
    return f"__key{place}"


def _value(place: int) -> str:
    return f"__value{place}"


def _name(column: str | None) -> str:
    return "`" + str(column).replace("`", "``") + "`"


def _names(columns: Iterable[str]) -> str:
    return ", ".join(_name(column) for column in columns)
