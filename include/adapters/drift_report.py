"""Evidently's report of drift as one HTML page, for people; no verdict of ours comes from it."""

import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from include.contracts.errors import DataError

_BODY = b"<body>"


@dataclass(frozen=True)
class DriftTests:
    """Which columns are tested, and how."""

    numeric: Sequence[str]
    """By Kolmogorov-Smirnov."""
    categorical: Sequence[str]
    """By the stability index."""
    p_value: float
    """Below it Evidently calls a numeric column drifted."""
    index: float
    """Above it Evidently calls a categorical column drifted."""


def drift_page(reference: pd.DataFrame, current: pd.DataFrame, tests: DriftTests, heading: str) -> bytes:
    """Return the page: both distributions of every column, with Evidently's own KS p-value or PSI.

    Args:
        reference: rows the others are held against; a column a feature.
        current: rows of the window.
        tests: of the columns.
        heading: what the page says above all, as plain text.

    Raises:
        DataError: Evidently cannot make one of these rows.
    """
    with warnings.catch_warnings():
        # Evidently's own imports and NumPy's complaints about empty bins; neither is the caller's.
        warnings.simplefilter("ignore")
        try:
            page = _page(_snapshot(reference, current, tests))
        except (ValueError, TypeError, KeyError, IndexError, ArithmeticError) as error:
            raise DataError(f"Evidently cannot report on this window: {error}") from error
    note = f'<p style="margin:1em;font-family:sans-serif">{escape(heading)}</p>'
    return page.replace(_BODY, _BODY + note.encode(), 1)


def drift_values(reference: pd.DataFrame, current: pd.DataFrame, tests: DriftTests) -> dict[str, float]:
    """Return what Evidently finds by column: the p-value of a numeric one, the index of a categorical one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = _snapshot(reference, current, tests).dict()
    return {each["config"]["column"]: float(each["value"]) for each in found["metrics"]}


def _snapshot(reference: pd.DataFrame, current: pd.DataFrame, tests: DriftTests) -> Any:  # noqa: ANN401 - untyped
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415 - takes seconds
    from evidently.metrics import ValueDrift  # noqa: PLC0415

    metrics = [
        *(ValueDrift(column=name, method="ks", threshold=tests.p_value) for name in tests.numeric),
        *(ValueDrift(column=name, method="psi", threshold=tests.index) for name in tests.categorical),
    ]
    schema = DataDefinition(
        numerical_columns=list(tests.numeric), categorical_columns=list(tests.categorical)
    )
    rows = [Dataset.from_pandas(each, data_definition=schema) for each in (current, reference)]
    return Report(metrics, include_tests=True).run(*rows)


def _page(snapshot: Any) -> bytes:  # noqa: ANN401
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        snapshot.save_html(str(path))
        return path.read_bytes()
