"""The one Spark session of a process, under what the platform's results rest on."""

from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING

from include.adapters.spark.environment import provide_spark
from include.config.settings import REPOSITORY_ROOT, Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MEANING = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.caseSensitive": "false",
    # Feast switches it on for its own queries; a quoted name is a pattern then.
    "spark.sql.parser.quotedRegexColumnNames": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
"""What a query's meaning depends on; nobody's configuration changes it."""
_BIND = "spark.driver.bindAddress"
_ALL_INTERFACES = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised, never a default
_starting = Lock()


def spark_session(settings: Settings) -> "SparkSession":
    """Return this process's session, started at the first call.

    Memory, cores, credentials and the like are Spark's own configuration: `spark-defaults.conf` in the folder
    `SPARK_CONF_DIR` names.

    Raises:
        PlatformError: Spark or its Java is not installed.
    """
    return session_under(feast_configuration(settings))


def feast_configuration(settings: Settings) -> dict[str, str]:
    """Return what a session is started with, as Feast's configuration carries it."""
    return {"spark.master": settings.spark_master, _BIND: settings.host}


def session_under(configuration: Mapping[str, str]) -> "SparkSession":
    """Return this process's session, as `spark_session` does."""
    provide_spark()
    from pyspark.sql import SparkSession  # noqa: PLC0415 - only there from here on

    with _starting:
        builder = SparkSession.builder.appName("ninety")
        for name, value in (_process() | dict(configuration)).items():
            builder = builder.config(name, value)
        if configuration[_BIND] not in _ALL_INTERFACES:
            builder = builder.config("spark.driver.host", configuration[_BIND])
        session = builder.getOrCreate()
        for name, value in MEANING.items():
            session.conf.set(name, value)
    return session


def _process() -> dict[str, str]:
    """Return how the driver and the workers' Python run."""
    return {
        "spark.executorEnv.PYTHONPATH": str(REPOSITORY_ROOT),
        "spark.executorEnv.TZ": "UTC",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.maxResultSize": "0",
    }
