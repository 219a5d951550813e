"""A view's daily files as Feast's source for Spark, without a warning at each look into the registry.

Feast warns whenever a `SparkSource` is made, as experimental; what this one gives is held equal to the files'
other source by tests.
"""

import warnings
from typing import Any

from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto

_CLASS = "include.features.spark_source.FilesOnSparkSource"


class FilesOnSparkSource(SparkSource):  # type: ignore[misc] # Feast has no types
    """Parquet files that Spark reads; a custom source to the registry, which this class reads back, then."""

    def __init__(self, **told: Any) -> None:  # noqa: ANN401 - as Feast has it
        """Args: told: as `SparkSource` has it."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The spark data source API is an experimental", RuntimeWarning)
            super().__init__(file_format="parquet", **told)

    def source_type(self) -> int:
        """Return the kind of source that names its own class."""
        kind: int = DataSourceProto.CUSTOM_SOURCE
        return kind

    @staticmethod
    def from_proto(data_source: DataSourceProto) -> "FilesOnSparkSource":
        """Return the source a registry holds."""
        return FilesOnSparkSource(
            name=data_source.name,
            path=data_source.spark_options.path,
            timestamp_field=data_source.timestamp_field,
            created_timestamp_column=data_source.created_timestamp_column,
            field_mapping=dict(data_source.field_mapping),
            description=data_source.description,
            tags=dict(data_source.tags),
            owner=data_source.owner,
        )

    def _to_proto_impl(self) -> DataSourceProto:
        proto: DataSourceProto = super()._to_proto_impl()
        proto.type = DataSourceProto.CUSTOM_SOURCE
        proto.data_source_class_type = _CLASS
        return proto
