"""The endpoints: what each path answers, in terms of the data plane."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from include.contracts.keys import ApiKey
from serving.gateway.dataplane import Answered, Dataplane
from serving.gateway.inference_protocol import SERVER, InferenceProtocol
from serving.gateway.messages import BINARY, JSON, Request, Response, answered, encode
from serving.gateway.outcomes import Outcomes
from serving.gateway.problems import EVENT_TIME, MALFORMED, Problem
from serving.gateway.schemas import (
    InferRequest,
    InferResponse,
    ModelMetadata,
    Outcome,
    OutcomeReceipt,
    Prediction,
    Predictions,
    PredictRequest,
    ServerMetadata,
)

Handler = Callable[[Request, dict[str, str]], Awaitable[Response]]

PREDICT_PREFIX = "/v1/predict/"
PREDICT = PREDICT_PREFIX + "{model}"
METRICS = CONTENT_TYPE_LATEST.encode()
_JSON_SIZE = b"inference-header-content-length"


@dataclass(frozen=True)
class Endpoint:
    """A method and path, its handler, and what the documentation says of it."""

    method: str
    path: str
    """Segments in braces match anything."""
    handler: Handler
    summary: str
    takes: Any = None
    """Type of the body."""
    gives: tuple[type, ...] = ()
    """Types of which the answer is one."""
    is_open: bool = False
    """Whether it answers without a key."""
    media_types: tuple[bytes, ...] = (JSON,)
    """What an answer may be written in."""
    tells_readiness: bool = False
    """Whether 503 is an answer, not a problem."""


class Endpoints:
    """Handlers; each raises Problem for what it refuses."""

    def __init__(
        self,
        dataplane: Dataplane,
        outcomes: Outcomes,
        *,
        body_limit: int,
        body_timeout: float,
        replay: bool,
    ) -> None:
        self._dataplane = dataplane
        self._outcomes = outcomes
        self._protocol = InferenceProtocol(dataplane)
        self._body_limit = body_limit
        self._body_timeout = body_timeout
        self._replay = replay

    def all(self) -> tuple[Endpoint, ...]:
        """Return the endpoints but those of the documentation."""
        model, version = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
        infer: dict[str, Any] = {
            "takes": InferRequest,
            "gives": (InferResponse,),
            "media_types": (JSON, BINARY),
        }
        ready: dict[str, Any] = {"tells_readiness": True}
        return (
            Endpoint(
                "POST",
                PREDICT,
                self.predict,
                "Score one entity, or several",
                PredictRequest,
                (Prediction, Predictions),
            ),
            Endpoint(
                "POST",
                "/v1/outcomes",
                self.outcomes,
                "Tell what became of predictions; idempotent",
                Outcome | list[Outcome],
                (OutcomeReceipt,),
            ),
            Endpoint("GET", "/v2", self.server, "Server metadata", gives=(ServerMetadata,), is_open=True),
            Endpoint("GET", "/v2/health/live", self.live, "Whether the process answers", is_open=True),
            Endpoint(
                "GET",
                "/v2/health/ready",
                self.ready,
                "Whether every routed version answers",
                is_open=True,
                **ready,
            ),
            Endpoint("GET", model, self.metadata, "Model metadata", gives=(ModelMetadata,)),
            Endpoint("GET", f"{model}/ready", self.model_ready, "Whether the champion is loaded", **ready),
            Endpoint("POST", f"{model}/infer", self.infer, "Infer from tensors on the champion", **infer),
            Endpoint("GET", version, self.metadata, "Model metadata of a version", gives=(ModelMetadata,)),
            Endpoint("GET", f"{version}/ready", self.model_ready, "Whether a version is loaded", **ready),
            Endpoint("POST", f"{version}/infer", self.infer, "Infer from tensors on a version", **infer),
            Endpoint(
                "GET", "/metrics", self.metrics, "Prometheus metrics", is_open=True, media_types=(METRICS,)
            ),
        )

    async def predict(self, request: Request, path: dict[str, str]) -> Response:
        """POST /v1/predict/{model}."""
        ask = self.predicting(request, path["model"])
        body = await request.body(self._body_limit, self._body_timeout)
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        ask(body, lambda result: _settle(future, result))
        return await future

    def predicting(self, request: Request, model: str) -> Callable[[bytes, Answered], None]:
        """Admit a predict request by its headers; what is returned takes its body.

        Raises:
            Problem: 400, 401 or 415.
        """
        key, moment = self._caller(request), self._moment(request)
        request.model = model
        request.check_media_type(JSON)
        return lambda body, done: self._dataplane.ask(key, model, body, moment, done, trace=request.trace)

    async def outcomes(self, request: Request, _: dict[str, str]) -> Response:
        """POST /v1/outcomes."""
        key = self._caller(request)
        request.check_media_type(JSON)
        body = await request.body(self._body_limit, self._body_timeout)
        return answered(await self._outcomes.accept(key, body))

    async def infer(self, request: Request, path: dict[str, str]) -> Response:
        """POST /v2/models/{model}[/versions/{version}]/infer."""
        key, moment = self._caller(request), self._moment(request)
        request.model = path["model"]
        # Stock clients of the protocol send no Content-Type.
        request.check_media_type(JSON, BINARY, b"")
        body = await request.body(self._body_limit, self._body_timeout)
        size = _json_size(request, len(body))
        answer, raw = await self._protocol.infer(
            key,
            path["model"],
            path.get("version"),
            body=body,
            json_size=size,
            moment=moment,
            trace=request.trace,
        )
        content = encode(answer)
        if not raw:
            return Response(200, content)
        return Response(200, content + raw, BINARY, ((_JSON_SIZE, b"%d" % len(content)),))

    async def metadata(self, request: Request, path: dict[str, str]) -> Response:
        """GET /v2/models/{model}[/versions/{version}]."""
        key = self._caller(request)
        await self._dataplane.limits.admit(key, 1)
        return answered(self._protocol.metadata(key, path["model"], path.get("version")))

    async def model_ready(self, request: Request, path: dict[str, str]) -> Response:
        """GET /v2/models/{model}[/versions/{version}]/ready."""
        key = self._caller(request)
        await self._dataplane.limits.admit(key, 1)
        ready = await self._protocol.is_ready(key, path["model"], path.get("version"))
        return answered({"name": path["model"], "ready": ready}, 200 if ready else 503)

    async def server(self, _: Request, __: dict[str, str]) -> Response:
        """GET /v2."""
        return answered(SERVER)

    async def live(self, _: Request, __: dict[str, str]) -> Response:
        """GET /v2/health/live."""
        return answered({"live": True})

    async def ready(self, _: Request, __: dict[str, str]) -> Response:
        """GET /v2/health/ready."""
        found = await self._dataplane.readiness()
        answer = {"ready": found.is_ready, "reasons": found.reasons, "degraded": found.degraded}
        return answered(answer, 200 if found.is_ready else 503)

    async def metrics(self, _: Request, __: dict[str, str]) -> Response:
        """GET /metrics."""
        content = generate_latest(self._dataplane.backends.telemetry.registry)
        return Response(200, content, METRICS)

    def _caller(self, request: Request) -> ApiKey:
        key = self._dataplane.authenticate(request.header(b"authorization"))
        request.key_id = key.key_id
        return key

    def _moment(self, request: Request) -> datetime:
        """Return the event time: now, or in a replay what X-Event-Time says."""
        text = request.header(b"x-event-time")
        if text is None:
            return self._dataplane.backends.clock()
        if not self._replay:
            raise Problem(EVENT_TIME, "this gateway does not replay history; leave the header out")
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise Problem(EVENT_TIME, "it is not an ISO 8601 time") from None
        if moment.tzinfo is None or moment.timestamp() < 0:
            raise Problem(EVENT_TIME, "it needs a zone, such as Z, and a year from 1970 on")
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            raise Problem(EVENT_TIME, "it lies after the year 9999 in UTC") from None


def _settle(future: "asyncio.Future[Response]", result: Prediction | Predictions | BaseException) -> None:
    if future.done():  # its caller has gone
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(answered(result))


def _json_size(request: Request, body_size: int) -> int:
    text = request.headers.get(_JSON_SIZE)
    if text is None:
        return body_size
    if not text.isdigit() or int(text) > body_size:
        raise Problem(MALFORMED, "Inference-Header-Content-Length does not fit the body")
    return int(text)
