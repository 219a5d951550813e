"""Export to one ONNX graph: vocabulary, preprocessing, network and head."""

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, compose, helper
from torch import nn

from include.adapters.onnx_model import Categorical, Numeric, OnnxModel
from include.adapters.tensors import CATEGORICAL, NUMERIC, SCORE
from include.contracts.errors import ArtefactError
from include.contracts.signatures import Signature
from include.training.pipeline import Pipeline, apply
from include.training.preprocessing import UNKNOWN, Vocabulary

OPSET = 17
ML_OPSET = 3
CODES = "codes"

_TRACED_ROWS = 2
_UNSEEN = "\N{NULL}unseen"
"""A string no source holds."""


def export(pipeline: Pipeline, vocabulary: Vocabulary, signature: Signature, path: Path) -> None:
    """Write the serving graph: `numeric` and `categorical` to `score`, as Signature describes them.

    Raises:
        ArtefactError: the graph is not valid.
    """
    widths = {NUMERIC: len(signature.numeric), CODES: len(signature.categorical)}
    names = [name for name, width in widths.items() if width]
    # The exporter puts the module back in the mode it came in, its parts included.
    _trace(_Present(pipeline, names).eval(), names, widths, path)
    graph = onnx.load(path)
    if CODES in names:
        graph = compose.merge_models(
            _encoder(vocabulary, graph.ir_version), graph, io_map=[(f"{CODES}_out", CODES)]
        )
    try:
        onnx.checker.check_model(graph, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ArtefactError(f"{signature.task.value} network cannot be exported: {error}") from error
    onnx.save(graph, path)


def parity(
    model: OnnxModel,
    pipeline: Pipeline,
    vocabulary: Vocabulary,
    numeric: Numeric,
    categorical: Categorical,
) -> float:
    """Return how far the exported graph is from the trained module on rows [n, N] and [n, M].

    The largest difference, relative to the largest output where that exceeds 1. Each row is tried as
    it is, and again with every number missing and every category unknown.
    """
    numbers = np.concatenate([numeric, np.full_like(numeric, np.nan)])
    texts = np.concatenate([categorical, np.full_like(categorical, _UNSEEN)])
    expected = apply(pipeline, numbers, vocabulary.encode(texts))
    return largest_difference(model.predict_arrays(numbers, texts), expected)


def largest_difference(found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    """Return max |found - expected| / max(1, max |expected|); huge where one is not finite."""
    largest = float(np.abs(found - expected).max()) / max(1.0, float(np.abs(expected).max()))
    return largest if np.isfinite(largest) else float(np.finfo(np.float32).max)


class _Present(nn.Module):  # type: ignore[misc] # torch comes without types here
    """The pipeline as a function of those inputs that have columns."""

    def __init__(self, pipeline: Pipeline, names: list[str]) -> None:
        super().__init__()
        self.pipeline = pipeline
        self.names = names

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        given = dict(zip(self.names, tensors, strict=True))
        rows = tensors[0].shape[0]
        numeric = given.get(NUMERIC, torch.zeros((rows, 0)))
        codes = given.get(CODES, torch.zeros((rows, 0), dtype=torch.int64))
        return self.pipeline(numeric, codes)


def _trace(module: nn.Module, names: list[str], widths: dict[str, int], path: Path) -> None:
    types = {NUMERIC: torch.float32, CODES: torch.int64}
    examples = tuple(torch.zeros(_TRACED_ROWS, widths[name], dtype=types[name]) for name in names)
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated; the new one takes 18 s and needs a wider graph.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            module,
            examples,
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            output_names=[SCORE],
            dynamic_axes={name: {0: "batch"} for name in (*names, SCORE)},
        )


def _encoder(vocabulary: Vocabulary, ir_version: int) -> onnx.ModelProto:
    """Return a graph from strings [batch, M] to codes [batch, M]."""
    nodes, columns, constants = [], [], []
    for index, known in enumerate(vocabulary.categories):
        place, column, code = f"place_{index}", f"column_{index}", f"code_{index}"
        constants.append(helper.make_tensor(place, TensorProto.INT64, [1], [index]))
        nodes.append(helper.make_node("Gather", [CATEGORICAL, place], [column], axis=1))
        nodes.append(_label_encoder(known, column, code))
        columns.append(code)
    nodes.append(helper.make_node("Concat", columns, [f"{CODES}_out"], axis=1))
    width = len(vocabulary.categories)
    graph = helper.make_graph(
        nodes,
        "vocabulary",
        [helper.make_tensor_value_info(CATEGORICAL, TensorProto.STRING, ["batch", width])],
        [helper.make_tensor_value_info(f"{CODES}_out", TensorProto.INT64, ["batch", width])],
        constants,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def _label_encoder(known: tuple[str, ...], column: str, code: str) -> onnx.NodeProto:
    # The empty string is a missing category; it also keeps the table of an all-missing column legal.
    return helper.make_node(
        "LabelEncoder",
        [column],
        [code],
        domain="ai.onnx.ml",
        keys_strings=["", *known],
        values_int64s=list(range(UNKNOWN, UNKNOWN + len(known) + 1)),
        default_int64=UNKNOWN,
    )
