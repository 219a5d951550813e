"""Quarantine: rows that were set aside, each with its reason, and what was said about their batch."""

import json
from datetime import datetime, timedelta
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


def refused_labels(model: str) -> str:
    """Return the name that a model's labels are set aside under."""
    return f"labels_{model}"


def refused_labels_folder(settings: Settings, model: str) -> Path:
    """Return where a model's labels are that were set aside."""
    return settings.quarantine_folder / refused_labels(model)


def remove_old(settings: Settings, now: datetime) -> int:
    """Remove the batches kept longer than `settings.quarantine_days`; return how many.

    The newest of each source and view stays, however old it is. Age is wall time: when the batch was kept.
    """
    limit = (now - timedelta(days=settings.quarantine_days)).timestamp()
    old: list[Path] = []
    for folder in settings.quarantine_folder.glob("*/"):
        kept = sorted(folder.glob("*.parquet"), key=lambda path: (path.stat().st_mtime, path.name))
        old += [path for path in kept[:-1] if path.stat().st_mtime < limit]
    for path in old:
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink()
    return len(old)
