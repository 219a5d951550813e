"""A view's daily files as Feast's source for Spark, without a warning at each look into the registry.

Feast warns whenever a `SparkSource` is made, as experimental; what this one gives is held equal to the files'
other source by tests.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto

_PATH = "include.features.spark_source.FilesOnSpark"


class FilesOnSpark(SparkSource):  # type: ignore[misc] # Feast has no types
    """Parquet files that Spark reads."""

    def __init__(self, **told: Any) -> None:  # noqa: ANN401 - as Feast has it
        """Args: told: as `SparkSource` has it."""
        with _quiet():
            super().__init__(**told)

    @staticmethod
    def from_proto(data_source: DataSourceProto) -> SparkSource:
        """Return the source a registry holds."""
        with _quiet():
            return cast("SparkSource", SparkSource.from_proto(data_source))

    def _to_proto_impl(self) -> DataSourceProto:
        proto: DataSourceProto = super()._to_proto_impl()
        proto.data_source_class_type = _PATH
        return proto


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The spark data source API is an experimental", RuntimeWarning)
        yield
