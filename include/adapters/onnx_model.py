"""A packaged model run in process, one thread: evaluation, golden predictions, batch scoring."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

from include.adapters.tensors import CATEGORICAL, NUMERIC, SCORE
from include.contracts.errors import ArtefactError, ModelError
from include.contracts.signatures import Signature

Numeric = npt.NDArray[np.float32]
Categorical = npt.NDArray[np.object_]

FATAL_ONLY = 3
"""onnxruntime's log severity; what goes wrong reaches the caller as an exception."""


class Columns(Protocol):
    """Feature values by name, one column of n values each: a mapping, or a data frame."""

    def __getitem__(self, name: str, /) -> Any:  # noqa: ANN401 - list, array or series
        """Return a column."""


class OnnxModel:
    """The serving graph of one version."""

    def __init__(self, path: Path, signature: Signature) -> None:
        """Load a graph.

        Raises:
            ArtefactError: the file is missing, no ONNX graph, or does not fit the signature.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = FATAL_ONLY
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ArtefactError(f"{path} cannot be loaded by onnxruntime: {error}") from error
        self._signature = signature
        self._inputs = [item.name for item in self._session.get_inputs()]
        expected = [name for name, width in _widths(signature).items() if width]
        if sorted(self._inputs) != sorted(expected):
            raise ArtefactError(f"{path} has the inputs {self._inputs}; its signature needs {expected}")

    def predict(self, columns: Columns) -> npt.NDArray[np.float32]:
        """Return the scores [n, outputs] of n rows given as columns; None and NaN mean missing.

        Raises:
            KeyError: a feature of the signature has no column.
            ValueError: a numeric feature holds what is no number.
            ModelError: the graph failed on these values.
        """
        return self.predict_arrays(*feature_arrays(columns, self._signature))

    def predict_arrays(self, numeric: Numeric, categorical: Categorical) -> npt.NDArray[np.float32]:
        """Return the scores [n, outputs] of what `feature_arrays` made.

        Raises:
            ModelError: the graph failed on these values.
        """
        tensors = {NUMERIC: numeric, CATEGORICAL: categorical}
        try:
            scores = self._session.run([SCORE], {name: tensors[name] for name in self._inputs})[0]
        except Exception as error:
            raise ModelError(f"the graph failed on {len(numeric)} rows: {error}") from error
        return np.asarray(scores, np.float32)


def feature_arrays(columns: Columns, signature: Signature) -> tuple[Numeric, Categorical]:
    """Return columns as arrays: float32 [n, N] with NaN for missing, str [n, M] with "" for missing.

    The same values as `tensors.to_tensors`, a column at a time and with text as str; an array of no
    columns is there too, of width 0.

    Raises:
        KeyError: a feature of the signature has no column.
        ValueError: a numeric feature holds what is no number.
    """
    rows = len(columns[signature.inputs[0].name])
    numeric = np.empty((rows, len(signature.numeric)), np.float32)
    for position, name in enumerate(signature.numeric):
        numeric[:, position] = np.asarray(columns[name], np.float64)
    categorical = np.empty((rows, len(signature.categorical)), np.object_)
    for position, name in enumerate(signature.categorical):
        categorical[:, position] = [_text(value) for value in columns[name]]
    return numeric, categorical


def _widths(signature: Signature) -> dict[str, int]:
    return {NUMERIC: len(signature.numeric), CATEGORICAL: len(signature.categorical)}


def _text(value: object) -> str:
    is_missing = value is None or (isinstance(value, float) and np.isnan(value))
    return "" if is_missing else str(value)
