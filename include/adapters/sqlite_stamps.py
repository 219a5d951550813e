"""Newest event time in a table of Feast's SQLite online store, read without Feast."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path


def newest_stamp(path: Path, table: str) -> datetime | None:
    """Return a table's newest `event_ts`, UTC; None where file, table or rows are missing."""
    if not path.is_file():
        return None
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", [table])
        if known.fetchone() is None:
            return None
        quoted = table.replace('"', '""')
        (newest,) = connection.execute(f'SELECT max(event_ts) FROM "{quoted}"').fetchone()  # noqa: S608
    finally:
        connection.close()
    return datetime.fromtimestamp(newest, UTC) if newest else None
