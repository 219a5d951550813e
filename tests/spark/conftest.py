"""A real cluster, a master and two workers, for every test of a run; and settings that use it."""

import os
from collections.abc import Callable

import pytest

from include.adapters.spark.environment import provide_spark
from include.adapters.spark.session import spark_session
from include.commands.spark_cluster import SparkCluster, ensure_java, spark_cluster
from include.config.settings import EngineName, Settings
from include.contracts.errors import PlatformError

OnSpark = Callable[[Settings], Settings]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> SparkCluster:
    """A running cluster; without Java, or Spark, what needs it is skipped."""
    try:
        ensure_java(install=os.geteuid() == 0)
        provide_spark()
    except PlatformError as error:
        pytest.skip(str(error))
    with spark_cluster(tmp_path_factory.mktemp("cluster")) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.spark_environment.items():
            patch.setenv(name, value)
        yield running
        from pyspark.sql import SparkSession  # noqa: PLC0415 - there once it is provided

        if (session := SparkSession.getActiveSession()) is not None:
            session.stop()


@pytest.fixture(scope="session")
def on_spark(cluster) -> OnSpark:
    """Return given settings with the cluster as engine, its session started."""

    def changed(settings: Settings) -> Settings:
        return settings.model_copy(update={"engine": EngineName.SPARK, "spark_master": cluster.master})

    spark_session(changed(Settings()))
    return changed
