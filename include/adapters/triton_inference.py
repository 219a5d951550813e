"""Asynchronous inference on Triton over gRPC, with typed errors."""

from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError
from tritonclient.grpc import service_pb2

from include.adapters.grpc_channel import GrpcChannel
from include.adapters.grpc_connection import CallError, Code
from include.adapters.tensors import DATATYPES, SCORE, Tensors, serialise
from include.adapters.trace_propagation import trace_metadata
from include.contracts.errors import DeadlineError, ModelError, ModelUnavailableError, ServingError

_INFER = "/inference.GRPCInferenceService/ModelInfer"
_READY = "/inference.GRPCInferenceService/ModelReady"
_UNAVAILABLE = frozenset({Code.UNAVAILABLE, Code.NOT_FOUND})
_DEADLINE = frozenset({Code.DEADLINE_EXCEEDED, Code.CANCELLED})


class TritonInference:
    """Channels to Tritons by endpoint; for use inside one event loop."""

    def __init__(self) -> None:
        self._channels: dict[str, GrpcChannel] = {}

    async def infer(
        self, endpoint: str, triton_model: str, tensors: Tensors, outputs: int, timeout_seconds: float
    ) -> npt.NDArray[np.float32]:
        """Return the score float32 [B, outputs] of a batch.

        Raises:
            ModelUnavailableError: nothing answers at the endpoint, or the model is not loaded there.
            DeadlineError: no answer came in time; the call was cancelled.
            ModelError: the model failed, or its output has another name, type or shape.
        """
        request: bytes = _infer_request(triton_model, tensors).SerializeToString()
        try:
            answer = await self._channel(endpoint).call(
                _INFER, request, timeout_seconds, trace_metadata() or ()
            )
        except CallError as error:
            raise _serving_error(endpoint, triton_model, error) from error
        return _score(triton_model, answer, len(next(iter(tensors.values()))), outputs)

    async def is_ready(self, endpoint: str, triton_model: str, timeout_seconds: float = 1.0) -> bool:
        """Say whether a model is loaded and ready at an endpoint."""
        request = service_pb2.ModelReadyRequest(name=triton_model).SerializeToString()
        try:
            answer = await self._channel(endpoint).call(_READY, request, timeout_seconds)
        except CallError:
            return False
        return bool(service_pb2.ModelReadyResponse.FromString(answer).ready)

    async def close(self) -> None:
        """Close all channels; calls still in flight are cancelled."""
        while self._channels:
            _, channel = self._channels.popitem()
            await channel.close()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all channels."""
        await self.close()

    def _channel(self, endpoint: str) -> GrpcChannel:
        if endpoint not in self._channels:
            self._channels[endpoint] = GrpcChannel(endpoint)
        return self._channels[endpoint]


def _infer_request(triton_model: str, tensors: Tensors) -> Any:  # noqa: ANN401 - a generated message
    request = service_pb2.ModelInferRequest(model_name=triton_model)
    for name, tensor in tensors.items():
        request.inputs.add(name=name, datatype=DATATYPES[name], shape=tensor.shape)
        request.raw_input_contents.append(serialise(tensor))
    request.outputs.add(name=SCORE)
    return request


def _score(triton_model: str, answer: bytes, rows: int, outputs: int) -> npt.NDArray[np.float32]:
    try:
        response = service_pb2.ModelInferResponse.FromString(answer)
    except DecodeError as error:
        raise ModelError(f"{triton_model}: the answer is no response to an inference: {error}") from error
    named = dict(zip((item.name for item in response.outputs), response.raw_output_contents, strict=True))
    shapes = {item.name: (item.datatype, tuple(item.shape)) for item in response.outputs}
    if shapes.get(SCORE) != ("FP32", (rows, outputs)):
        raise ModelError(
            f"{triton_model}: expected output {SCORE} FP32 [{rows}, {outputs}], got {shapes.get(SCORE)}"
        )
    return np.frombuffer(named[SCORE], np.float32).reshape(rows, outputs)


def _serving_error(endpoint: str, triton_model: str, error: CallError) -> ServingError:
    where = f"{triton_model} at {endpoint}"
    if error.code in _UNAVAILABLE:
        return ModelUnavailableError(f"{where} is unavailable: {error.details}")
    if error.code in _DEADLINE:
        return DeadlineError(f"{where} did not answer in time")
    return ModelError(f"{where} failed with {error.code.name}: {error.details}")
