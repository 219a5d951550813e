"""One route's pipeline: a batch is enriched, sent to its versions, logged and answered, in that order."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from logging import getLogger
from math import isfinite
from time import monotonic

import numpy as np
import numpy.typing as npt

from include.adapters.tensors import Tensors, to_tensors
from include.contracts.errors import (
    DeadlineError,
    LogWriteError,
    ModelError,
    ModelUnavailableError,
    ServingError,
)
from include.contracts.routes import VersionRoute
from serving.gateway.attempts import Ask, Attempt, RouteContext
from serving.gateway.coalescer import Coalescer
from serving.gateway.freshness import enrich
from serving.gateway.ladder import reason_of
from serving.gateway.loading import LoadedLater
from serving.gateway.ports import Inference, OnlineRow, RowLog
from serving.gateway.problems import LOG_UNAVAILABLE, Problem
from serving.gateway.request_features import RequestFeatures
from serving.gateway.schemas import Prediction
from serving.gateway.telemetry import Telemetry
from serving.gateway.tracing import Propagation, Tracing
from serving.gateway.validation import check_features

_log = getLogger(__name__)


@dataclass(frozen=True)
class Backends:
    """What all pipelines share."""

    features: LoadedLater
    inference: Inference
    log: RowLog
    executor: Executor
    """One thread: blocking reads of the feature store stay off the event loop."""
    clock: Callable[[], datetime]
    telemetry: Telemetry
    max_batch: int
    deadline_seconds: float
    tracing: Tracing = field(default_factory=Propagation)


class Pipeline:
    """Answers for one route of one snapshot; a batch in flight ends on the route it began with."""

    def __init__(self, context: RouteContext, backends: Backends) -> None:
        self.context = context
        self._backends = backends
        self._request_features = {
            version.version: RequestFeatures(context.route.model, version, context.load)
            for version in context.route.versions
        }
        self._deadline = min(context.route.deadline_seconds, backends.deadline_seconds)
        self._coalescer: Coalescer[Ask, Prediction] = Coalescer(self._answer, backends.max_batch)
        depth = backends.telemetry.queue_depth.labels(context.route.model)
        depth.set_function(lambda: self._coalescer.depth)

    async def predict(self, asks: Sequence[Ask]) -> list[Prediction | BaseException]:
        """Return an answer for each ask, or the exception that stands for it."""
        futures = [self._coalescer.submit(ask) for ask in asks]
        return await asyncio.gather(*futures, return_exceptions=True)

    async def score(self, version: VersionRoute, tensors: Tensors) -> npt.NDArray[np.float32]:
        """Return a version's finite score float32 [B, outputs] within the route's deadline.

        Raises:
            ServingError: the version did not answer, or answered with NaN or an infinity.
        """
        score = await self._infer(version, tensors, monotonic() + self._deadline)
        if not np.isfinite(score).all():
            raise ModelError(f"{self.context.route.model} {version.version} gave a score that is not finite")
        return score

    async def _answer(self, asks: Sequence[Ask]) -> list[Prediction | BaseException]:
        telemetry = self._backends.telemetry
        telemetry.batch_sizes.of(self.context.route.model).observe(len(asks))
        attempts = [self.context.attempt(ask) for ask in asks]
        with telemetry.stage("features"):
            rows = await self._read(attempts)
        with telemetry.stage("model"), self._traced(asks):
            await self._climb(attempts, rows)
        with telemetry.stage("log"):
            self._log(attempts)
        return [attempt.problem or self.context.answer(attempt) for attempt in attempts]

    def _traced(self, asks: Sequence[Ask]) -> AbstractContextManager[None]:
        traces = [ask.trace for ask in asks if ask.trace is not None]
        return self._backends.tracing.calls(self.context.route.model, traces) if traces else nullcontext()

    async def _read(self, attempts: Sequence[Attempt]) -> Sequence[OnlineRow]:
        """One enrichment read for the batch; when it fails, every attempt goes without."""
        reader, entity = self._backends.features, self.context.route.entity
        values = [attempt.ask.value for attempt in attempts]
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._backends.executor, reader.read, entity, values, self.context.views
            )
        except ServingError as error:
            _log.error("features unavailable", extra={"fields": {"error": str(error)}})
            for attempt in attempts:
                attempt.lose_features("the online feature store cannot be read")
            return ()

    async def _climb(self, attempts: Sequence[Attempt], rows: Sequence[OnlineRow]) -> None:
        """Take every attempt up its ladder; one call a version and round, one deadline for all rounds."""
        end = monotonic() + self._deadline
        pending = list(zip(attempts, rows, strict=True)) if rows else []
        while pending:
            groups: dict[str, list[Attempt]] = {}
            versions: dict[str, VersionRoute] = {}
            for attempt, row in pending:
                version = attempt.version
                if version is not None and self._enrich(attempt, version, row):
                    versions[version.version] = version
                    groups.setdefault(version.version, []).append(attempt)
            ready = {name: self._ready(versions[name], group) for name, group in groups.items()}
            await asyncio.gather(
                *(
                    self._score_group(versions[name], batch, end)
                    for name, group in ready.items()
                    for batch in _batches(group, versions[name].maximum_batch)
                )
            )
            pending = [pair for pair in pending if pair[0].is_open]

    def _enrich(self, attempt: Attempt, version: VersionRoute, row: OnlineRow) -> bool:
        """Give an attempt its features for a version; a refusal touches this attempt only."""
        moment = attempt.ask.predicted_at
        try:
            attempt.enriched = enrich(self.context.route, version, row.features, row.timestamps, moment)
        except Problem as problem:
            attempt.refuse(problem)
        return attempt.is_open

    def _ready(self, version: VersionRoute, group: Sequence[Attempt]) -> list[Attempt]:
        """Add the request-time features of a version, check all of them, and return who may go on."""
        ready = []
        for attempt in self._transformed(version, group):
            try:
                check_features(version.signature, attempt.enriched.features)
            except Problem as problem:
                attempt.refuse(problem)
            else:
                ready.append(attempt)
        return ready

    def _transformed(self, version: VersionRoute, group: Sequence[Attempt]) -> Sequence[Attempt]:
        """Run the version's transforms once for all; where that fails, one by one."""
        try:
            self._request_features[version.version].add(
                [attempt.enriched for attempt in group], [attempt.ask.predicted_at for attempt in group]
            )
        except ServingError as error:
            if len(group) == 1 or isinstance(error, ModelUnavailableError):
                _fall(version, group, error)
                return ()
            return [attempt for each in group for attempt in self._transformed(version, [each])]
        return group

    async def _score_group(self, version: VersionRoute, group: Sequence[Attempt], end: float) -> None:
        """Give each attempt its outputs; a batch the model refuses is halved until the bad one is alone."""
        tensors = to_tensors(version.signature, [attempt.enriched.features for attempt in group])
        try:
            score = await self._infer(version, tensors, end)
        except ModelError as error:
            if len(group) == 1:
                _fall(version, group, error)
                return
            half = len(group) // 2
            await self._score_group(version, group[:half], end)
            await self._score_group(version, group[half:], end)
        except ServingError as error:
            _fall(version, group, error)
        else:
            _take(version, group, score)

    async def _infer(self, version: VersionRoute, tensors: Tensors, end: float) -> npt.NDArray[np.float32]:
        left = end - monotonic()
        if left <= 0:
            raise DeadlineError("the deadline passed before the call")
        name = version.triton_model(self.context.route.model)
        return await self._backends.inference.infer(
            version.endpoints[0], name, tensors, version.signature.outputs, left
        )

    def _log(self, attempts: Sequence[Attempt]) -> None:
        """Append the batch's rows; unless that succeeds, nothing is answered."""
        recorded_at, now = self._backends.clock(), monotonic()
        rows = [self.context.row(attempt, recorded_at, now) for attempt in attempts]
        try:
            written = self._backends.log.append(rows)
        except LogWriteError as error:
            _log.error("prediction log unavailable", extra={"fields": {"error": str(error)}})
            for attempt in attempts:
                attempt.refuse(Problem(LOG_UNAVAILABLE, "the prediction could not be logged"))
            return
        self._backends.telemetry.log_bytes.inc(written)
        self._backends.telemetry.logged(rows)


def pipelines(contexts: Mapping[str, RouteContext], backends: Backends) -> dict[str, Pipeline]:
    """Return a pipeline for each route."""
    return {model: Pipeline(context, backends) for model, context in contexts.items()}


def _batches(group: Sequence[Attempt], most: int) -> Iterator[Sequence[Attempt]]:
    return (group[start : start + most] for start in range(0, len(group), most))


def _fall(version: VersionRoute, group: Sequence[Attempt], error: ServingError) -> None:
    for attempt in group:
        attempt.fall(reason_of(error), f"{version.version}: {error}")


def _take(version: VersionRoute, group: Sequence[Attempt], score: npt.NDArray[np.float32]) -> None:
    for attempt, outputs in zip(group, score.tolist(), strict=True):
        if all(map(isfinite, outputs)):
            attempt.outputs = tuple(outputs)
        else:
            _fall(version, [attempt], ModelError("the score is not finite"))
