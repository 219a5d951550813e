"""Serving tensors: rows of feature values as the arrays a Signature describes, and back."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from include.contracts.predictions import FeatureValue
from include.contracts.signatures import Signature

NUMERIC = "numeric"
CATEGORICAL = "categorical"
SCORE = "score"
DATATYPES = {NUMERIC: "FP32", CATEGORICAL: "BYTES"}
"""Triton's datatype of each input tensor."""

Tensors = dict[str, npt.NDArray[np.float32] | npt.NDArray[np.object_]]

_LENGTH_BYTES = 4


def to_tensors(signature: Signature, rows: Sequence[Mapping[str, FeatureValue]]) -> Tensors:
    """Return the arrays of a batch of B rows, tensors without columns left out.

    Returns:
        `numeric` float32 [B, N] with NaN for a missing value, `categorical` object [B, M] of UTF-8
        bytes with b"" for a missing one.

    Raises:
        ValueError, TypeError: a numeric feature holds what is no number.
    """
    tensors: Tensors = {}
    if names := signature.numeric:
        numbers = [[_number(row.get(name)) for name in names] for row in rows]
        tensors[NUMERIC] = np.array(numbers, np.float32).reshape(len(rows), len(names))
    if names := signature.categorical:
        texts = [[_text(row.get(name)) for name in names] for row in rows]
        tensors[CATEGORICAL] = np.array(texts, np.object_).reshape(len(rows), len(names))
    return tensors


def from_tensors(
    signature: Signature, tensors: Mapping[str, npt.NDArray[np.generic]]
) -> list[dict[str, FeatureValue]]:
    """Return the rows a batch of arrays stands for: what `to_tensors` made, missing values as None.

    Raises:
        KeyError: a tensor the signature needs is missing.
    """
    columns: dict[str, list[FeatureValue]] = {}
    for position, name in enumerate(signature.numeric):
        values = tensors[NUMERIC][:, position].tolist()
        columns[name] = [None if value != value else value for value in values]  # noqa: PLR0124 - NaN
    for position, name in enumerate(signature.categorical):
        columns[name] = [value.decode() or None for value in tensors[CATEGORICAL][:, position].tolist()]
    names = [item.name for item in signature.inputs]
    return [dict(zip(names, row, strict=True)) for row in zip(*(columns[n] for n in names), strict=True)]


def serialise(tensor: npt.NDArray[np.generic]) -> bytes:
    """Return a tensor as the raw contents of Triton's gRPC and binary HTTP protocols.

    Numbers lie in C order, little endian; each element of a BYTES tensor follows its length as four
    bytes.
    """
    if tensor.dtype != np.object_:
        return tensor.tobytes()
    parts: list[bytes] = []
    for element in tensor.ravel().tolist():
        parts += (len(element).to_bytes(_LENGTH_BYTES, "little"), element)
    return b"".join(parts)


def _number(value: FeatureValue) -> float:
    return np.nan if value is None else float(value)


def _text(value: FeatureValue) -> bytes:
    return b"" if value is None else str(value).encode()
