"""The data plane: knows keys, routes and pipelines, and no transport."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from time import monotonic

import msgspec

from include.adapters.request_tail import LoggedAnswer
from include.contracts.keys import ApiKey, Verb
from include.contracts.routes import RouteSnapshot, VersionRoute
from serving.gateway.attempts import Ask, RouteContext
from serving.gateway.decoding import decoded
from serving.gateway.keys import KeyRing, authorise
from serving.gateway.parts import Part
from serving.gateway.pipeline import Backends, Pipeline
from serving.gateway.problems import NOT_READY, RETIRED_MODEL, UNKNOWN_MODEL, Problem
from serving.gateway.rate_limits import RateLimits
from serving.gateway.readiness import Readiness, VersionChecks
from serving.gateway.remembering import remembered
from serving.gateway.request_features import TransformLoader
from serving.gateway.request_window import Identity, RequestWindow
from serving.gateway.schemas import Prediction, Predictions, PredictRequest
from serving.gateway.shadow import Shadows
from serving.gateway.tracing import RequestTrace
from serving.gateway.validation import entities_of

Answered = Callable[[Prediction | Predictions | BaseException], None]
"""Gets an answer, or the exception that stands for it; it must not raise."""

_predict_request = msgspec.json.Decoder(PredictRequest)


@dataclass(slots=True)
class _Call:
    """A predict request that can be asked."""

    key: ApiKey
    pipeline: Pipeline
    request: PredictRequest
    asks: list[Ask]

    @property
    def is_many(self) -> bool:
        """Whether it names a list of entities."""
        return isinstance(self.request.entities, list)


class Dataplane:
    """Predictions and readiness; routes and keys are swapped whole while requests are in flight."""

    def __init__(
        self,
        backends: Backends,
        window: RequestWindow[Part],
        load: TransformLoader,
        limits: RateLimits | None = None,
        shadows: Shadows | None = None,
    ) -> None:
        """Take everything the data plane works with.

        Args:
            backends: what all pipelines share.
            window: remembers answers by `request_id`.
            load: finds a model's transform by name.
            limits: counts what keys may ask; without it this gateway counts for itself.
            shadows: mirrors requests; without it none is mirrored.
        """
        self._load = load
        self._shadows = shadows
        self.limits = limits or RateLimits(backends.telemetry)
        self.backends = backends
        self._window = window
        self._pipelines: dict[str, Pipeline] | None = None
        self._retired: Mapping[str, str] = {}
        self._keys = KeyRing()
        self._running: set[asyncio.Task[Prediction | Predictions]] = set()
        self._checks = VersionChecks(backends.inference)

    def swap_routes(self, snapshot: RouteSnapshot) -> None:
        """Answer from now on by these routes; what is in flight ends on those it began with."""
        self._pipelines = {
            model: self._pipeline(RouteContext(snapshot.snapshot_id, route, self._load))
            for model, route in snapshot.routes.items()
        }
        self._retired = snapshot.retired
        self._checks.clear()
        routed = [(model, version) for model, route in snapshot.routes.items() for version in route.versions]
        self.backends.inference.keep(routed)
        self.backends.breakers.keep(routed)

    def _pipeline(self, context: RouteContext) -> Pipeline:
        mirror = self._shadows.of(context) if self._shadows is not None else None
        pipeline = Pipeline(context, self.backends, mirror)
        self.backends.telemetry.watch_queue(context.route.model, lambda: pipeline.depth)
        return pipeline

    def swap_keys(self, keys: Iterable[ApiKey]) -> None:
        """Accept from now on these keys and no others."""
        held = tuple(keys)
        self._keys = KeyRing(held)
        self.limits.swap(held)

    def authenticate(self, authorization: str | None) -> ApiKey:
        """Return the caller's key.

        Raises:
            Problem: 401; 429 where too many have none that is valid.
        """
        with self.backends.telemetry.stage("auth"):
            try:
                return self._keys.authenticate(authorization, self.backends.clock())
            except Problem:
                self.limits.note_failure()
                raise

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
        asked: _Call | Problem
        try:
            asked = self._call(key, model, body, moment, arrived, trace)
        except Problem as problem:
            asked = problem
        tokens = 1 if isinstance(asked, Problem) else len(asked.asks)
        if not self.limits.admit_here(key, tokens):
            self._run(self._admitted(key, tokens, asked), done)
        elif isinstance(asked, Problem):
            raise asked
        elif asked.request.request_id is None and not asked.is_many:
            asked.pipeline.submit(asked.asks[0], done)
        else:
            self._run(self._answer(asked), done)

    def _call(  # noqa: PLR0917 - what one request consists of
        self,
        key: ApiKey,
        model: str,
        body: bytes,
        moment: datetime,
        arrived: float,
        trace: RequestTrace | None,
    ) -> "_Call":
        """Return what a body asks of which pipeline.

        Raises:
            Problem: it cannot be asked.
        """
        pipeline = self.pipeline(key, model, Verb.PREDICT)
        pipeline.admission.check()
        request = decoded(_predict_request, body)
        values = entities_of(request, pipeline.context.route, self.backends.max_batch)
        body_sha256, count = sha256(body).hexdigest(), len(values)
        asks = [
            Ask(value, request.request_id, body_sha256, key.key_id, moment, arrived, index, count, trace)
            for index, value in enumerate(values)
        ]
        return _Call(key, pipeline, request, asks)

    def _run(self, answering: Coroutine[None, None, Prediction | Predictions], done: Answered) -> None:
        """Answer in a task of its own."""
        self._running.add(task := asyncio.create_task(answering))
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda ended: done(_outcome(ended)))

    async def _admitted(self, key: ApiKey, tokens: int, asked: "_Call | Problem") -> Prediction | Predictions:
        """Answer, or refuse, once the key's limit, which is counted elsewhere, lets it pass."""
        await self.limits.admit(key, tokens)
        if isinstance(asked, Problem):
            raise asked
        return await self._answer(asked)

    async def _answer(self, call: "_Call") -> Prediction | Predictions:
        results: Sequence[Part]
        pipeline, asks, request_id = call.pipeline, call.asks, call.request.request_id
        if request_id is None:
            results = await pipeline.predict(asks)
        else:
            results = await self._window.once(
                Identity(call.key.key_id, pipeline.context.route.model, request_id),
                asks[0].body_sha256,
                len(asks),
                lambda missing: pipeline.predict([asks[n] for n in missing]),
            )
        return _several(pipeline, results) if call.is_many else _answered(results[0])

    def restore(self, rows: Iterable[LoggedAnswer]) -> int:
        """Answer repeats of logged requests from their rows, newest first; return how many requests."""
        routes = {model: pipeline.context.route for model, pipeline in (self._pipelines or {}).items()}
        requests = remembered(rows, routes, self.backends.clock())
        self._window.restore(requests)
        return len(requests)

    async def readiness(self) -> Readiness:
        """Say whether every routed version gives its golden predictions, and where one does not.

        Anyone may ask, so that the versions are asked at most once a second.
        """
        if self.backends.drain.has_begun:
            return Readiness(("the gateway is about to end",))
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


def _answered(part: Part) -> Prediction:
    if isinstance(part, Problem):
        # One that is remembered must not gather tracebacks.
        raise Problem(part.kind, part.detail, retry_after_seconds=part.retry_after_seconds)
    if isinstance(part, BaseException):
        raise part
    return part


def _outcome(ended: "asyncio.Task[Prediction | Predictions]") -> Prediction | Predictions | BaseException:
    if ended.cancelled():
        return asyncio.CancelledError()
    return ended.exception() or ended.result()


def _several(pipeline: Pipeline, results: Iterable[Part]) -> Predictions:
    """An entity that cannot be answered has its problem in the answer's place."""
    path = f"/v1/predict/{pipeline.context.route.model}"
    return Predictions(
        [
            result.document(f"{path}#/entities/{index}") if isinstance(result, Problem) else _answered(result)
            for index, result in enumerate(results)
        ]
    )
