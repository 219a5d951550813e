"""Asynchronous inference on Triton over gRPC, with typed errors."""

from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np
import numpy.typing as npt
from tritonclient.grpc import service_pb2, service_pb2_grpc

from include.adapters.tensors import DATATYPES, SCORE, Tensors, serialise
from include.adapters.trace_propagation import trace_metadata
from include.contracts.errors import DeadlineError, ModelError, ModelUnavailableError, ServingError

_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A Triton that comes back is found again within a second.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_UNAVAILABLE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND})
_DEADLINE = frozenset({grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})


class TritonInference:
    """Channels to Tritons by endpoint; for use inside one event loop."""

    def __init__(self) -> None:
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._stubs: dict[str, Any] = {}

    async def infer(
        self, endpoint: str, triton_model: str, tensors: Tensors, outputs: int, timeout_seconds: float
    ) -> npt.NDArray[np.float32]:
        """Return the score float32 [B, outputs] of a batch.

        Raises:
            ModelUnavailableError: nothing answers at the endpoint, or the model is not loaded there.
            DeadlineError: no answer came in time; the call was cancelled.
            ModelError: the model failed, or its output has another name, type or shape.
        """
        request = _infer_request(triton_model, tensors)
        try:
            response = await self._stub(endpoint).ModelInfer(
                request, timeout=timeout_seconds, metadata=trace_metadata()
            )
        except grpc.aio.AioRpcError as error:
            raise _serving_error(endpoint, triton_model, error) from error
        return _score(triton_model, response, len(next(iter(tensors.values()))), outputs)

    async def is_ready(self, endpoint: str, triton_model: str, timeout_seconds: float = 1.0) -> bool:
        """Say whether a model is loaded and ready at an endpoint."""
        request = service_pb2.ModelReadyRequest(name=triton_model)
        try:
            response = await self._stub(endpoint).ModelReady(request, timeout=timeout_seconds)
        except grpc.aio.AioRpcError:
            return False
        return bool(response.ready)

    async def close(self) -> None:
        """Close all channels; calls still in flight are cancelled."""
        while self._channels:
            endpoint, channel = self._channels.popitem()
            self._stubs.pop(endpoint)
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

    def _stub(self, endpoint: str) -> Any:  # noqa: ANN401 - the generated stub has no types
        if endpoint not in self._stubs:
            channel = self._channels[endpoint] = grpc.aio.insecure_channel(endpoint, options=_OPTIONS)
            self._stubs[endpoint] = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        return self._stubs[endpoint]


def _infer_request(triton_model: str, tensors: Tensors) -> Any:  # noqa: ANN401 - a generated message
    request = service_pb2.ModelInferRequest(model_name=triton_model)
    for name, tensor in tensors.items():
        request.inputs.add(name=name, datatype=DATATYPES[name], shape=tensor.shape)
        request.raw_input_contents.append(serialise(tensor))
    request.outputs.add(name=SCORE)
    return request


def _score(triton_model: str, response: Any, rows: int, outputs: int) -> npt.NDArray[np.float32]:  # noqa: ANN401
    named = dict(zip((item.name for item in response.outputs), response.raw_output_contents, strict=True))
    shapes = {item.name: (item.datatype, tuple(item.shape)) for item in response.outputs}
    if shapes.get(SCORE) != ("FP32", (rows, outputs)):
        raise ModelError(
            f"{triton_model}: expected output {SCORE} FP32 [{rows}, {outputs}], got {shapes.get(SCORE)}"
        )
    return np.frombuffer(named[SCORE], np.float32).reshape(rows, outputs)


def _serving_error(endpoint: str, triton_model: str, error: grpc.aio.AioRpcError) -> ServingError:
    code, where = error.code(), f"{triton_model} at {endpoint}"
    if code in _UNAVAILABLE:
        return ModelUnavailableError(f"{where} is unavailable: {error.details()}")
    if code in _DEADLINE:
        return DeadlineError(f"{where} did not answer in time")
    return ModelError(f"{where} failed with {code.name}: {error.details()}")
