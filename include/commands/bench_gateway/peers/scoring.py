"""The model every peer serves: the same ONNX graph, one thread, rows joined into one run.

It runs in a peer's own environment, which has numpy and onnxruntime and nothing of this repository's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime

Row = Mapping[str, Sequence[Any]]
"""`numeric`: numbers, `categorical`: texts, as the graph orders them."""

MOST_ROWS = 64
WAIT_SECONDS = 0.001
"""A batch is at most so many rows, and its first row waits at most so long for others."""


class Scorer:
    """One session of the graph."""

    def __init__(self, path: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])

    def scores(self, rows: Sequence[Row]) -> list[float]:
        """Return the score of each row."""
        numeric = np.array([row["numeric"] for row in rows], np.float32)
        categorical = np.array([row["categorical"] for row in rows], np.object_)
        return self.run(numeric, categorical)

    def run(self, numeric: Any, categorical: Any) -> list[float]:  # noqa: ANN401 - arrays
        """Return the scores of float32 [n, N] and str [n, M]."""
        inputs = {"numeric": numeric, "categorical": categorical}
        scores: list[float] = self._session.run(["score"], inputs)[0][:, 0].tolist()
        return scores
