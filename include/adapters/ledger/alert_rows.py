"""Rows of alerts, read as alerts."""

from sqlalchemy import Connection, RowMapping, Select

from include.contracts.alerts import Alert

AlertQuery = Select[tuple[object, ...]]
"""A query over whole rows of the alerts' table."""


def read_alerts(connection: Connection, query: AlertQuery) -> tuple[Alert, ...]:
    """Return the alerts that a query finds."""
    return tuple(parsed_alert(row) for row in connection.execute(query).mappings())


def parsed_alert(row: RowMapping) -> Alert:
    """Return the alert of a row."""
    fields = {name: row[name] for name in Alert.model_fields if name != "content"}
    return Alert.model_validate({"content": row["body"], **fields})
