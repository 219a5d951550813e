"""Tensors of the Open Inference Protocol over HTTP: JSON, or binary after the JSON."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from include.adapters.tensors import CATEGORICAL, DATATYPES, NUMERIC, SCORE, Tensors
from include.contracts.signatures import Signature
from serving.gateway.problems import INVALID_REQUEST, Problem
from serving.gateway.schemas import InferInput, InferOutput, InferRequest

BINARY_SIZE = "binary_data_size"
_FLOAT_BYTES = 4
_LENGTH_BYTES = 4


def widths(signature: Signature) -> dict[str, int]:
    """Return the columns of each input tensor; a tensor without columns is left out."""
    columns = {NUMERIC: len(signature.numeric), CATEGORICAL: len(signature.categorical)}
    return {name: width for name, width in columns.items() if width}


def read_tensors(signature: Signature, request: InferRequest, binary: bytes, most: int) -> Tensors:
    """Return the input tensors of a request of 1 to `most` rows.

    Raises:
        Problem: 422, a tensor is missing, unknown, or of another datatype, shape or size.
    """
    expected = widths(signature)
    named = {tensor.name: tensor for tensor in request.inputs}
    if named.keys() != expected.keys() or len(named) != len(request.inputs):
        raise _refused(f"expected the inputs {', '.join(expected)}, once each")
    rows = {tensor.shape[0] if tensor.shape else 0 for tensor in request.inputs}
    if len(rows) != 1 or not 1 <= (count := rows.pop()) <= most:
        raise _refused(f"all inputs must have the same 1 to {most} rows")
    offset, tensors = 0, Tensors()
    for tensor in request.inputs:
        _check(tensor, [count, expected[tensor.name]])
        size = _binary_size(tensor)
        if size is None:
            tensors[tensor.name] = _from_json(tensor)
        else:
            tensors[tensor.name] = _from_binary(tensor, binary[offset : offset + size], size)
            offset += size
    if offset != len(binary):
        raise _refused(f"{len(binary)} binary bytes follow the JSON, the inputs account for {offset}")
    return {name: tensors[name] for name in expected}


def score_output(request: InferRequest, score: npt.NDArray[np.float32]) -> tuple[InferOutput, bytes]:
    """Return the output as it was asked for, and the bytes that follow the JSON.

    Raises:
        Problem: 422, another output or a form of it we do not give was asked for.
    """
    asked = request.outputs[0] if request.outputs else None
    if len(request.outputs) > 1 or (asked and asked.name != SCORE):
        raise _refused(f"the only output is {SCORE!r}")
    parameters = asked.parameters if asked else {}
    if unknown := parameters.keys() - {"binary_data"}:
        raise _refused(f"output parameters not taken: {', '.join(sorted(unknown))}")
    is_binary = parameters.get("binary_data", request.parameters.get("binary_data_output", False))
    shape = list(score.shape)
    if not is_binary:
        return InferOutput(SCORE, "FP32", shape, data=score.ravel().tolist()), b""
    raw = score.tobytes()
    return InferOutput(SCORE, "FP32", shape, parameters={BINARY_SIZE: len(raw)}), raw


def _check(tensor: InferInput, shape: list[int]) -> None:
    if tensor.datatype != DATATYPES[tensor.name] or tensor.shape != shape:
        raise _refused(f"input {tensor.name!r} must be {DATATYPES[tensor.name]} {shape}")
    if unknown := tensor.parameters.keys() - {BINARY_SIZE}:
        raise _refused(f"input {tensor.name!r}: parameters not taken: {', '.join(sorted(unknown))}")


def _binary_size(tensor: InferInput) -> int | None:
    size = tensor.parameters.get(BINARY_SIZE)
    if (size is None) == (not isinstance(tensor.data, list)) or (size is not None and type(size) is not int):
        raise _refused(f"input {tensor.name!r} needs 'data' or the parameter {BINARY_SIZE!r}")
    return size if isinstance(size, int) else None


def _from_json(tensor: InferInput) -> npt.NDArray[np.float32] | npt.NDArray[np.object_]:
    values = list(_flat(tensor.data if isinstance(tensor.data, list) else []))
    if len(values) != tensor.shape[0] * tensor.shape[1]:
        raise _refused(f"input {tensor.name!r} has {len(values)} values, its shape is {tensor.shape}")
    if tensor.name == NUMERIC:
        return _floats(tensor, values).reshape(tensor.shape)
    if not all(isinstance(value, str) for value in values):
        raise _refused(f"input {tensor.name!r} must hold strings")
    return np.array([str(value).encode() for value in values], np.object_).reshape(tensor.shape)


def _floats(tensor: InferInput, values: Sequence[object]) -> npt.NDArray[np.float32]:
    """JSON has no NaN: null stands for a missing value."""
    if not all(value is None or type(value) in (int, float) for value in values):
        raise _refused(f"input {tensor.name!r} must hold numbers, and null for a missing one")
    try:
        doubles = np.array([np.nan if value is None else value for value in values], np.float64)
    except OverflowError:
        raise _refused(f"input {tensor.name!r} holds a number that is too large") from None
    with np.errstate(over="ignore"):  # an infinity is refused with the feature's name later
        return doubles.astype(np.float32)


def _from_binary(
    tensor: InferInput, raw: bytes, size: int
) -> npt.NDArray[np.float32] | npt.NDArray[np.object_]:
    count = tensor.shape[0] * tensor.shape[1]
    if len(raw) != size or (tensor.name == NUMERIC and size != count * _FLOAT_BYTES):
        raise _refused(f"input {tensor.name!r}: {len(raw)} binary bytes do not fill its shape {tensor.shape}")
    if tensor.name == NUMERIC:
        numbers = np.frombuffer(raw, np.float32)
        if not np.isfinite(numbers).all():
            raise _refused(
                f"input {tensor.name!r} holds NaN or an infinity; a missing value is null, in JSON"
            )
        return numbers.reshape(tensor.shape)
    elements = list(_elements(raw))
    if len(elements) != count:
        raise _refused(f"input {tensor.name!r} has {len(elements)} elements, its shape is {tensor.shape}")
    return np.array(elements, np.object_).reshape(tensor.shape)


def _elements(raw: bytes) -> Iterator[bytes]:
    offset = 0
    while offset < len(raw):
        start = offset + _LENGTH_BYTES
        offset = start + int.from_bytes(raw[offset:start], "little")
        if offset > len(raw) or start > len(raw):
            raise _refused("a binary string runs over the end of its tensor")
        yield raw[start:offset]


def _flat(values: Sequence[object]) -> Iterator[object]:
    """Flatten [B][N]; deeper lists stay and are refused as values."""
    for value in values:
        if isinstance(value, list):
            yield from value
        else:
            yield value


def _refused(detail: str) -> Problem:
    return Problem(INVALID_REQUEST, detail)
