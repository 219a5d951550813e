"""Training, validation and test rows: cut by time, and refused where they cannot teach or judge."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.adapters.snapshots import LABEL, rows_within
from include.contracts.errors import DataError
from include.contracts.model import ModelContract
from include.contracts.signatures import FEWEST_CLASSES, Task
from include.contracts.windows import Window, Windows

FEWEST_JUDGING_ROWS = 100
"""Validation and test windows with fewer rows say nothing about a model."""


@dataclass(frozen=True)
class Split:
    """Rows of the three windows."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame


def split(frame: pd.DataFrame, windows: Windows, contract: ModelContract) -> Split:
    """Cut a training set by time.

    Raises:
        DataError: a feature column is missing, a window holds too few rows or one class only, or a
            label is no value of the task; the message gives window, dates and counts.
    """
    missing = sorted({LABEL, *(item.name for item in contract.features.inputs)} - set(frame.columns))
    if missing:
        raise DataError(f"the training set of {contract.name} lacks the columns: {', '.join(missing)}")
    minimum = contract.training.minimum_rows
    return Split(
        train=_checked(frame, "training", windows.train, minimum, contract),
        validation=_checked(frame, "validation", windows.validation, FEWEST_JUDGING_ROWS, contract),
        test=_checked(frame, "test", windows.test, FEWEST_JUDGING_ROWS, contract),
    )


def _checked(
    frame: pd.DataFrame, name: str, window: Window, minimum: int, contract: ModelContract
) -> pd.DataFrame:
    rows = rows_within(frame, window)
    where = f"{name} window of {contract.name}, {window}"
    if len(rows) < minimum:
        raise DataError(
            f"{where}: {len(rows)} rows with a known label, needs {minimum}; are features and labels "
            f"computed for all of it? The set holds {len(frame)} rows in all"
        )
    _check_labels(rows[LABEL].to_numpy(np.float64), where, contract)
    return rows


def _check_labels(labels: np.ndarray, where: str, contract: ModelContract) -> None:
    if contract.task is Task.REGRESSION:
        if not np.isfinite(labels).all():
            raise DataError(f"{where}: {int((~np.isfinite(labels)).sum())} labels are not finite")
        return
    classes, counts = np.unique(labels, return_counts=True)
    allowed = range(max(len(contract.classes), FEWEST_CLASSES))
    if not set(classes) <= set(allowed):
        raise DataError(f"{where}: labels must be {list(allowed)}; found {classes[:10].tolist()}")
    if len(classes) < FEWEST_CLASSES:
        raise DataError(f"{where}: all {counts.sum()} labels are {classes[0]:g}; nothing to tell apart")
