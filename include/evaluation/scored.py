"""Rows with a model's scores on them: what every gate looks at."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.adapters.onnx_model import OnnxModel
from include.adapters.snapshots import LABEL
from include.contracts.errors import DataError, ModelError
from include.contracts.model import ModelContract
from include.stats.metrics import compute_metrics

FAR_OFF = float(np.finfo(np.float32).max)
"""Stands for a difference that is no number."""

FEWEST_ROWS = 2
"""Of fewer no metric says anything."""

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Scored:
    """Test rows, their labels [n], and a model's scores [n, outputs] and metrics on them."""

    contract: ModelContract
    rows: pd.DataFrame
    labels: Array
    scores: Array
    metrics: dict[str, float]

    def part(self, mask: Mask) -> dict[str, float]:
        """Return the metrics over some of the rows; none where they cannot be judged."""
        if mask.sum() < FEWEST_ROWS:
            return {}
        try:
            return compute_metrics(self.contract.task, self.labels[mask], self.scores[mask])
        except ValueError:
            return {}


def scored(contract: ModelContract, model: OnnxModel, rows: pd.DataFrame, whose: str) -> Scored:
    """Score rows.

    Args:
        contract: names the task.
        model: what scores.
        rows: with label and all the model's features.
        whose: the model, for the reader of an error.

    Raises:
        DataError: there are no rows, the model failed on them, or its scores cannot be judged.
    """
    if rows.empty:
        raise DataError(f"{contract.name}: the test window has no rows")
    labels = rows[LABEL].to_numpy(np.float64)
    try:
        scores = model.predict(rows).astype(np.float64)
        metrics = compute_metrics(contract.task, labels, scores)
    except (ModelError, ValueError) as error:
        raise DataError(
            f"{contract.name}: {whose} cannot be judged on {len(rows)} test rows: {error}"
        ) from error
    return Scored(contract, rows, labels, scores, metrics)


def largest_difference(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """Return max |found - expected| / max(1, max |expected|); huge where one is not finite."""
    largest = float(np.abs(found - expected).max()) / max(1.0, float(np.abs(expected).max()))
    return largest if np.isfinite(largest) else FAR_OFF
