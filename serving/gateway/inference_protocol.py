"""Open Inference Protocol v2: model-ready tensors, keyed, validated and logged, never enriched."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from time import monotonic

import msgspec
import numpy as np
import numpy.typing as npt

from include.adapters.tensors import DATATYPES, SCORE, Tensors, from_tensors
from include.contracts.errors import ServingError
from include.contracts.identifiers import uuid7
from include.contracts.keys import ApiKey, Verb
from include.contracts.predictions import FeatureValue, PredictionRow, Source, Status
from include.contracts.routes import VersionRoute
from serving.gateway.dataplane import Dataplane
from serving.gateway.decoding import decoded
from serving.gateway.pipeline import Pipeline
from serving.gateway.problems import INVALID_REQUEST, MODEL_UNAVAILABLE, UNKNOWN_MODEL, Problem
from serving.gateway.schemas import InferRequest, InferResponse, ModelMetadata, ServerMetadata, TensorMetadata
from serving.gateway.tracing import RequestTrace
from serving.gateway.validation import check_features
from serving.gateway.wire_tensors import read_tensors, score_output, widths

SERVER = ServerMetadata("ninety", "1", ["binary_tensor_data"])

_infer_request = msgspec.json.Decoder(InferRequest)


@dataclass(frozen=True)
class _Call:
    """One infer request that passed validation."""

    key: ApiKey
    pipeline: Pipeline
    version: VersionRoute
    request_id: str | None
    body_sha256: str
    moment: datetime
    arrived: float
    rows: Sequence[dict[str, FeatureValue]]


class InferenceProtocol:
    """The protocol's calls over the data plane's routes; without a version the champion is meant."""

    def __init__(self, dataplane: Dataplane) -> None:
        self._dataplane = dataplane

    def metadata(self, key: ApiKey, model: str, version: str | None) -> ModelMetadata:
        """Return the tensors a model takes and gives.

        Raises:
            Problem: 403, 404 or 503.
        """
        pipeline, served = self._served(key, model, version, Verb.READ, Verb.INFER)
        signature = served.signature
        inputs = [
            TensorMetadata(name, DATATYPES[name], [-1, width]) for name, width in widths(signature).items()
        ]
        outputs = [TensorMetadata(SCORE, "FP32", [-1, signature.outputs])]
        versions = [item.version for item in pipeline.context.route.versions]
        return ModelMetadata(model, versions, "onnx_onnxruntime", inputs, outputs)

    async def is_ready(self, key: ApiKey, model: str, version: str | None) -> bool:
        """Say whether a version gives its golden predictions at one of its endpoints.

        Raises:
            Problem: 403, 404 or 503.
        """
        _, served = self._served(key, model, version, Verb.READ, Verb.INFER)
        return await self._dataplane.version_is_ready(model, served)

    async def infer(
        self,
        key: ApiKey,
        model: str,
        version: str | None,
        *,
        body: bytes,
        json_size: int,
        moment: datetime,
        trace: RequestTrace | None = None,
    ) -> tuple[InferResponse, bytes]:
        """Answer an infer request whose JSON takes the first `json_size` bytes of its body.

        Returns:
            The answer and the binary output that follows its JSON, empty unless asked for.

        Raises:
            Problem: 403, 404, 422, 429 or 503.
        """
        try:
            request, call, tensors = self._call(
                key, model, version, body=body, json_size=json_size, moment=moment
            )
        except Problem:
            await self._dataplane.limits.admit(key, 1)
            raise
        await self._dataplane.limits.admit(key, len(call.rows))
        with self._traced(model, trace):
            score, ids = await self._scored(call, tensors)
        output, raw = score_output(request, score)
        parameters: dict[str, str | int | float | bool] = {"prediction_ids": ",".join(ids)}
        return InferResponse(model, call.version.version, [output], request.id, parameters), raw

    def _call(
        self, key: ApiKey, model: str, version: str | None, *, body: bytes, json_size: int, moment: datetime
    ) -> tuple[InferRequest, _Call, Tensors]:
        arrived = monotonic()
        pipeline, served = self._served(key, model, version, Verb.INFER)
        request = decoded(_infer_request, body[:json_size])
        most = min(self._dataplane.backends.max_batch, served.maximum_batch)
        tensors = read_tensors(served.signature, request, body[json_size:], most)
        rows = _checked_rows(served, tensors)
        score_output(request, np.zeros((0, 1), np.float32))  # refuses before the model is asked
        request_id, digest = request.id or None, sha256(body).hexdigest()
        return request, _Call(key, pipeline, served, request_id, digest, moment, arrived, rows), tensors

    def _traced(self, model: str, trace: RequestTrace | None) -> AbstractContextManager[None]:
        tracing = self._dataplane.backends.tracing
        return nullcontext() if trace is None else tracing.calls(model, [trace])

    async def _scored(self, call: _Call, tensors: Tensors) -> tuple[npt.NDArray[np.float32], list[str]]:
        try:
            score = await call.pipeline.score(call.version, tensors)
        except ServingError as error:
            await self._log(call, None, str(error))
            raise Problem(MODEL_UNAVAILABLE, f"version {call.version.version} did not answer") from error
        return score, await self._log(call, score.tolist(), None)

    async def _log(self, call: _Call, outputs: list[list[float]] | None, error: str | None) -> list[str]:
        """Append a row for each row of the batch and return their ids."""
        backends = self._dataplane.backends
        recorded_at, latency = backends.clock(), monotonic() - call.arrived
        rows = [
            _row(
                call,
                features,
                outputs=tuple(outputs[index]) if outputs else None,
                error=error,
                recorded_at=recorded_at,
                latency_seconds=latency,
            )
            for index, features in enumerate(call.rows)
        ]
        settling = backends.log.record(rows)
        if settling is not None:
            await settling
        backends.telemetry.logged(rows)
        return [row.prediction_id for row in rows]

    def _served(
        self, key: ApiKey, model: str, version: str | None, *verbs: Verb
    ) -> tuple[Pipeline, VersionRoute]:
        pipeline = self._dataplane.pipeline(key, model, *verbs)
        route = pipeline.context.route
        if version is None:
            return pipeline, route.champion
        for served in route.versions:
            if served.version == version:
                return pipeline, served
        raise Problem(UNKNOWN_MODEL, f"model {model!r} has no version {version!r} in its route")


def _checked_rows(version: VersionRoute, tensors: Tensors) -> list[dict[str, FeatureValue]]:
    try:
        rows = from_tensors(version.signature, tensors)
    except UnicodeDecodeError:
        raise Problem(INVALID_REQUEST, "a string is not UTF-8") from None
    for row in rows:
        check_features(version.signature, row)
    return rows


def _row(
    call: _Call,
    features: dict[str, FeatureValue],
    *,
    outputs: tuple[float, ...] | None,
    error: str | None,
    recorded_at: datetime,
    latency_seconds: float,
) -> PredictionRow:
    return PredictionRow(
        prediction_id=uuid7(call.moment),
        request_id=call.request_id,
        body_sha256=call.body_sha256,
        model=call.pipeline.context.route.model,
        entity={},
        unit="",
        assigned_variant=None,
        served_version=call.version.version if outputs else None,
        artefact_sha256=call.version.artefact_sha256 if outputs else None,
        route_snapshot_id=call.pipeline.context.snapshot_id,
        release_or_experiment_id=None,
        bucket=None,
        share=None,
        predicted_at=call.moment,
        recorded_at=recorded_at,
        features=features,
        feature_timestamps={},
        request_features={},
        outputs=outputs,
        status=Status.OK if outputs else Status.FAILED,
        fallback_reason=None,
        source=Source.OIP,
        latency_seconds=latency_seconds,
        key_id=call.key.key_id,
        error=error,
    )
