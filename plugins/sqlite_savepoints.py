"""Airflow's SQLite database: savepoints inside a transaction that may write.

Python's driver opens no transaction before a savepoint. Airflow's backfill reads and writes under one
savepoint a run: each then starts as a reader, and SQLite refuses it at once ("database is locked") when
anybody wrote between its read and its write, however long it would be willing to wait.
"""

from airflow import settings
from airflow.plugins_manager import AirflowPlugin
from sqlalchemy import Connection, Engine, event


def begin_to_write(connection: Connection, _savepoint: str | None = None) -> None:
    """Take SQLite's write lock, waiting for it, before a savepoint that would open a transaction itself."""
    if connection.engine is not settings.engine or connection.dialect.name != "sqlite":
        return
    driver = connection.connection.dbapi_connection
    if driver is not None and not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


class SqliteSavepointsPlugin(AirflowPlugin):
    """Listens in every process that loads plugins: the scheduler, the API server, the command line."""

    name = "sqlite_savepoints"

    @classmethod
    def on_load(cls) -> None:
        """Listen to the savepoints of all engines; only those of Airflow's own are acted on."""
        if not event.contains(Engine, "savepoint", begin_to_write):
            event.listen(Engine, "savepoint", begin_to_write)
