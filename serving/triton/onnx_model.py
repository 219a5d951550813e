"""The generic model of Triton's Python backend: any package's ONNX graph, run by onnxruntime.

It is copied beside each version's `model.onnx` and runs in Triton's own environment, without the rest
of this repository. Inputs `numeric` FP32 [batch, N] and `categorical` BYTES [batch, M] (either may be
absent), output `score` FP32 [batch, K].
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton

_GPU = "CUDAExecutionProvider"

Columns = dict[str, np.ndarray[Any, Any]]


class TritonPythonModel:
    """What the backend instantiates, once per model instance."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the graph and try one row, so that a graph that does not fit is refused at load.

        Raises:
            ValueError: graph and configuration disagree on inputs or on the output's width.
        """
        config = json.loads(args["model_config"])
        self._inputs = tuple(item["name"] for item in config["input"])
        graph = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self._session = onnxruntime.InferenceSession(str(graph), _one_thread(), _providers(args))
        wanted = {item.name for item in self._session.get_inputs()}
        if wanted != set(self._inputs):
            raise ValueError(f"the graph takes {sorted(wanted)}, the configuration {sorted(self._inputs)}")
        width = int(config["output"][0]["dims"][0])
        found = self._run({item["name"]: _blank(item) for item in config["input"]}).shape
        if found != (1, width):
            raise ValueError(f"the graph answers one row with shape {found} instead of {(1, width)}")

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer all requests of a batch with one run of the graph; an error stays with its request."""
        read = [self._read(request) for request in requests]
        scores = iter(self._scores([item for item in read if not isinstance(item, Exception)]))
        return [_response(item if isinstance(item, Exception) else next(scores)) for item in read]

    def _read(self, request: Any) -> Columns | Exception:  # noqa: ANN401 the backend ships no types
        try:
            return {name: _values(request, name) for name in self._inputs}
        except (ValueError, AttributeError) as error:
            return error

    def _scores(self, rows: list[Columns]) -> list[Any]:
        """Score each request's rows; if the joined run fails, run them singly to find the bad one."""
        if not rows:
            return []
        try:
            joined = {name: np.concatenate([item[name] for item in rows]) for name in self._inputs}
            ends = np.cumsum([len(item[self._inputs[0]]) for item in rows])[:-1]
            return np.split(self._run(joined), ends)
        except Exception as error:  # noqa: BLE001 onnxruntime's errors have no common base
            return [error] if len(rows) == 1 else [self._scores([item])[0] for item in rows]

    def _run(self, inputs: Columns) -> np.ndarray[Any, Any]:
        score = np.asarray(self._session.run(["score"], inputs)[0], np.float32)
        return score.reshape(len(score), -1)


def _providers(args: dict[str, str]) -> list[Any]:
    """Return where the graph runs: on the GPU that Triton gave the instance, or on the CPU.

    Raises:
        ValueError: it is to run on a GPU, and this onnxruntime knows none.
    """
    if args["model_instance_kind"] != "GPU":
        return ["CPUExecutionProvider"]
    if _GPU not in onnxruntime.get_available_providers():
        raise ValueError(
            "the contract's resources.device is gpu, and Triton's environment has an onnxruntime for CPUs "
            "only: install onnxruntime-gpu there, or write cpu"
        )
    return [(_GPU, {"device_id": args["model_instance_device_id"]}), "CPUExecutionProvider"]


def _one_thread() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return options


def _blank(item: dict[str, Any]) -> np.ndarray[Any, Any]:
    columns = int(item["dims"][0])
    if item["name"] == "categorical":
        return np.full((1, columns), "", object)
    return np.zeros((1, columns), np.float32)


def _values(request: Any, name: str) -> np.ndarray[Any, Any]:  # noqa: ANN401 the backend ships no types
    values: np.ndarray[Any, Any] = triton.get_input_tensor_by_name(request, name).as_numpy()
    if name != "categorical":
        return values
    texts = [value.decode("utf-8") for value in values.ravel()]
    return np.array(texts, object).reshape(values.shape)


def _response(answer: Any) -> Any:  # noqa: ANN401 the backend ships no types
    if isinstance(answer, Exception):
        return triton.InferenceResponse(error=triton.TritonError(f"{type(answer).__name__}: {answer}"))
    return triton.InferenceResponse(output_tensors=[triton.Tensor("score", answer)])
