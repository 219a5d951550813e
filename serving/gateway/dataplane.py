"""The data plane: knows keys, routes and pipelines, and no transport."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from time import monotonic

import msgspec

from include.contracts.keys import ApiKey, Verb
from include.contracts.routes import RouteSnapshot, VersionRoute
from serving.gateway.attempts import Ask, RouteContext
from serving.gateway.decoding import decoded
from serving.gateway.keys import KeyRing, authorise
from serving.gateway.pipeline import Backends, Pipeline, pipelines
from serving.gateway.problems import (
    INTERNAL,
    NOT_READY,
    RETIRED_MODEL,
    UNKNOWN_MODEL,
    Problem,
    ProblemDocument,
)
from serving.gateway.readiness import Readiness, VersionChecks
from serving.gateway.request_features import TransformLoader
from serving.gateway.request_window import RequestWindow
from serving.gateway.schemas import Prediction, Predictions, PredictRequest
from serving.gateway.tracing import RequestTrace
from serving.gateway.validation import entities_of

Answered = Callable[[Prediction | Predictions | BaseException], None]
"""Gets an answer, or the exception that stands for it; it must not raise."""

_predict_request = msgspec.json.Decoder(PredictRequest)


class Dataplane:
    """Predictions and readiness; routes and keys are swapped whole while requests are in flight."""

    def __init__(self, backends: Backends, request_window: int, load: TransformLoader) -> None:
        """Args: load: finds a model's transform by name."""
        self._load = load
        self.backends = backends
        self._window: RequestWindow[Prediction | Predictions] = RequestWindow(request_window, _is_final)
        self._pipelines: dict[str, Pipeline] | None = None
        self._retired: Mapping[str, str] = {}
        self._keys = KeyRing()
        self._running: set[asyncio.Task[Prediction | Predictions]] = set()
        self._checks = VersionChecks(backends.inference)

    def swap_routes(self, snapshot: RouteSnapshot) -> None:
        """Answer from now on by these routes; what is in flight ends on those it began with."""
        contexts = {
            model: RouteContext(snapshot.snapshot_id, route, self._load)
            for model, route in snapshot.routes.items()
        }
        self._pipelines = pipelines(contexts, self.backends)
        self._retired = snapshot.retired
        self._checks.clear()
        routed = [(model, version) for model, route in snapshot.routes.items() for version in route.versions]
        self.backends.inference.keep(routed)
        self.backends.breakers.keep(routed)

    def swap_keys(self, keys: Iterable[ApiKey]) -> None:
        """Accept from now on these keys and no others."""
        self._keys = KeyRing(keys)

    def authenticate(self, authorization: str | None) -> ApiKey:
        """Return the caller's key.

        Raises:
            Problem: 401.
        """
        with self.backends.telemetry.stage("auth"):
            return self._keys.authenticate(authorization, self.backends.clock())

    def pipeline(self, key: ApiKey, model: str, *verbs: Verb) -> Pipeline:
        """Return a model's pipeline for a caller who may use one of the verbs on it.

        Raises:
            Problem: 403 out of the key's scope, 404 unknown model, 410 retired model, 503 no routes yet.
        """
        authorise(key, model, *verbs)
        if self._pipelines is None:
            raise Problem(NOT_READY, "no route snapshot was loaded yet")
        if model in self._retired:
            raise Problem(RETIRED_MODEL, f"{model} is retired: {self._retired[model]}")
        if model not in self._pipelines:
            raise Problem(UNKNOWN_MODEL, f"no route for a model {model!r}")
        return self._pipelines[model]

    def ask(
        self,
        key: ApiKey,
        model: str,
        body: bytes,
        moment: datetime,
        done: Answered,
        *,
        trace: RequestTrace | None = None,
    ) -> None:
        """Answer a predict request at a moment of event time; `done` gets the answer or what stands for it.

        A request for one entity, which is nearly every one, waits in its model's queue and nowhere else.

        Raises:
            Problem: the request is refused at once; `done` is not called then.
        """
        arrived = monotonic()
        pipeline = self.pipeline(key, model, Verb.PREDICT)
        pipeline.admission.check()
        request = decoded(_predict_request, body)
        values = entities_of(request, pipeline.context.route, self.backends.max_batch)
        body_sha256 = sha256(body).hexdigest()
        asks = [
            Ask(value, request.request_id, body_sha256, key.key_id, moment, arrived, trace)
            for value in values
        ]
        is_many = isinstance(request.entities, list)
        if request.request_id is None and not is_many:
            pipeline.submit(asks[0], done)
            return
        answer = self._answer(pipeline, asks, (key.key_id, model, request.request_id), is_many=is_many)
        self._running.add(task := asyncio.create_task(answer))
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda ended: done(_outcome(ended)))

    async def _answer(
        self, pipeline: Pipeline, asks: list[Ask], window_key: tuple[str, str, str | None], *, is_many: bool
    ) -> Prediction | Predictions:
        if window_key[-1] is None:
            return await _answer(pipeline, asks, is_many=is_many)
        return await self._window.once(
            window_key, asks[0].body_sha256, len(asks), lambda: _answer(pipeline, asks, is_many=is_many)
        )

    async def readiness(self) -> Readiness:
        """Say whether every routed version gives its golden predictions, and where one does not.

        Anyone may ask, so that the versions are asked at most once a second.
        """
        if not self._pipelines:
            return Readiness(("no routes",))
        return await self._checks.look(
            [
                (pipeline.context.route.model, version)
                for pipeline in self._pipelines.values()
                for version in pipeline.context.route.versions
            ]
        )

    async def version_is_ready(self, model: str, version: VersionRoute) -> bool:
        """Say whether a version gives its golden predictions at an endpoint of its route."""
        return None in (await self._checks.faults(model, version)).values()


async def _answer(pipeline: Pipeline, asks: list[Ask], *, is_many: bool) -> Prediction | Predictions:
    results = await pipeline.predict(asks)
    return _several(pipeline, results) if is_many else _answered(results[0])


def _outcome(ended: "asyncio.Task[Prediction | Predictions]") -> Prediction | Predictions | BaseException:
    if ended.cancelled():
        return asyncio.CancelledError()
    return ended.exception() or ended.result()


def _answered(result: Prediction | BaseException) -> Prediction:
    if isinstance(result, BaseException):
        raise result
    return result


def _is_final(answer: Prediction | Predictions) -> bool:
    """Say whether asking again could not give more: no entity failed for our reasons."""
    return isinstance(answer, Prediction) or not any(
        isinstance(item, ProblemDocument) and item.status >= INTERNAL.status for item in answer.predictions
    )


def _several(pipeline: Pipeline, results: Iterable[Prediction | BaseException]) -> Predictions:
    """An entity that cannot be answered has its problem in the answer's place."""
    path = f"/v1/predict/{pipeline.context.route.model}"
    return Predictions(
        [
            result.document(f"{path}#/entities/{index}") if isinstance(result, Problem) else _answered(result)
            for index, result in enumerate(results)
        ]
    )
