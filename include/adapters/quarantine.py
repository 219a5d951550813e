"""Quarantine: rows that were set aside, each with its reason, and what was said about their batch."""

import json
from pathlib import Path
from typing import Any

import pyarrow

from include.adapters.files import write_atomically
from include.adapters.parquet import write_table
from include.config.settings import Settings

REASON = "reason"
"""Column that says why a row is here."""


def keep(settings: Settings, name: str, batch: str, rows: pyarrow.Table, result: dict[str, Any]) -> Path:
    """Write rows and the result beside them; the same again changes nothing.

    Args:
        settings: says where.
        name: the source or the view.
        batch: name of the batch.
        rows: columns of the source or view, and `reason`.
        result: counts and verdict, plain JSON.

    Returns:
        Path of the rows.
    """
    path = settings.quarantine_folder / name / f"{batch}.parquet"
    write_table(path, rows)
    text = json.dumps(result, indent=2, sort_keys=True, default=str)
    write_atomically(path.with_suffix(".json"), text.encode())
    return path
