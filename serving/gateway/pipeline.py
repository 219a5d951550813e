"""One route's pipeline: a batch is enriched, sent to its versions, logged and answered, in that order."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from logging import getLogger
from time import monotonic
from typing import Protocol

import numpy as np
import numpy.typing as npt

from include.adapters.tensors import Tensors, to_tensors
from include.contracts.errors import (
    DeadlineError,
    ModelError,
    ModelUnavailableError,
    ServingError,
)
from include.contracts.routes import VersionRoute
from serving.gateway.admission import Admission
from serving.gateway.attempts import Ask, Attempt, RouteContext
from serving.gateway.breaker import Breaker
from serving.gateway.breakers import Breakers
from serving.gateway.coalescer import Coalescer
from serving.gateway.drain import Drain
from serving.gateway.freshness import enrich
from serving.gateway.model_inputs import ModelInputs
from serving.gateway.ports import FeatureReader, Inference, OnlineRow
from serving.gateway.problems import Problem
from serving.gateway.recorder import Recorder
from serving.gateway.request_features import RequestFeatures, TransformLoader
from serving.gateway.schemas import Prediction
from serving.gateway.telemetry import Telemetry
from serving.gateway.tracing import Propagation, Tracing
from serving.gateway.validation import check_features
from serving.gateway.version_answers import admitted, fall, lose, take

_log = getLogger(__name__)


@dataclass(frozen=True)
class Backends:
    """What all pipelines share."""

    features: FeatureReader
    inference: Inference
    log: Recorder
    clock: Callable[[], datetime]
    telemetry: Telemetry
    max_batch: int
    batches_in_flight: int
    deadline_seconds: float
    queue_entities: int
    queue_wait_seconds: float
    breakers: Breakers
    tracing: Tracing = field(default_factory=Propagation)
    drain: Drain = field(default_factory=Drain)


class _Served:
    """What a version needs of every batch, worked out once."""

    def __init__(self, model: str, version: VersionRoute, load: TransformLoader, breaker: Breaker) -> None:
        self.version = version
        self.breaker = breaker
        self.views = version.signature.views
        self.inputs = ModelInputs(version.signature)
        self.request_features = RequestFeatures(model, version, load)


class Mirror(Protocol):
    """Where answered requests go besides."""

    def mirror(self, attempts: Sequence[Attempt], rows: Sequence[OnlineRow]) -> None:
        """Take a batch's answered requests with the features read for them; returns at once."""


class Pipeline:
    """Answers for one route of one snapshot; a batch in flight ends on the route it began with."""

    def __init__(self, context: RouteContext, backends: Backends, mirror: Mirror | None = None) -> None:
        self.context = context
        self._mirror = mirror
        self._backends = backends
        self._served = {
            version.version: _Served(
                context.route.model,
                version,
                context.load,
                backends.breakers.of(context.route.model, version),
            )
            for version in context.route.versions
        }
        self._deadline = min(context.route.deadline_seconds, backends.deadline_seconds)
        self._coalescer: Coalescer[Ask, Prediction] = Coalescer(
            self._answer, backends.max_batch, backends.batches_in_flight
        )
        self._direct = 0
        self.admission = Admission(
            context.route.model,
            lambda: self.waiting,
            self._oldest,
            backends.telemetry,
            most=backends.queue_entities,
            longest=min(backends.queue_wait_seconds, self._deadline / 2),
        )

    @property
    def depth(self) -> int:
        """Entities that wait for the batch in flight."""
        return self._coalescer.depth

    @property
    def waiting(self) -> int:
        """Entities that wait for a batch, and rows asked for directly."""
        return self._coalescer.depth + self._direct

    def _oldest(self) -> float:
        """Return when the first that waits for a batch arrived; now, where none does."""
        first = self._coalescer.first
        return monotonic() if first is None else first.arrived

    def submit(self, ask: Ask, done: Callable[[Prediction | BaseException], None]) -> None:
        """Answer an admitted ask: `done` gets the prediction, or the exception that stands for it."""
        self._coalescer.submit(ask, done)

    async def predict(self, asks: Sequence[Ask]) -> list[Prediction | BaseException]:
        """Return an answer for each ask, or the exception that stands for it.

        Raises:
            Problem: 503, there is no room in the queue.
        """
        self.admission.check(len(asks))
        return await asyncio.gather(*map(self._coalescer.ask, asks), return_exceptions=True)

    async def score(self, version: VersionRoute, tensors: Tensors) -> npt.NDArray[np.float32]:
        """Return a version's finite score float32 [B, outputs] within the route's deadline.

        Raises:
            ServingError: the version did not answer, or answered with NaN or an infinity.
            Problem: 503, too much is asked at once.
        """
        rows = len(next(iter(tensors.values())))
        self.admission.check(rows)
        self._direct += rows
        try:
            score = await self._infer(self._served[version.version], tensors, monotonic() + self._deadline)
        finally:
            self._direct -= rows
        if not np.isfinite(score).all():
            raise ModelError(f"{self.context.route.model} {version.version} gave a score that is not finite")
        return score

    async def _answer(self, asks: Sequence[Ask]) -> list[Prediction | BaseException]:
        telemetry = self._backends.telemetry
        telemetry.batch_sizes.of(self.context.route.model).observe(len(asks))
        attempts = [self.context.attempt(ask) for ask in asks]
        in_time = self._in_time(attempts)
        with telemetry.stage("features"):
            rows = await self.read(in_time) if in_time else ()
        with telemetry.stage("model"), self._traced(asks):
            await self.climb(in_time, rows)
        with telemetry.stage("log"):
            await self._log(attempts)
        if self._mirror is not None:
            self._mirror.mirror(in_time, rows)
        return [attempt.problem or self.context.answer(attempt) for attempt in attempts]

    def _in_time(self, attempts: Sequence[Attempt]) -> Sequence[Attempt]:
        """Return whose deadline did not pass in the queue; what is worth nothing any more costs nothing."""
        late = monotonic() - self._deadline
        for attempt in attempts:
            if attempt.ask.arrived <= late:
                attempt.come_too_late()
        return [attempt for attempt in attempts if attempt.is_open]

    def _traced(self, asks: Sequence[Ask]) -> AbstractContextManager[None]:
        traces = [ask.trace for ask in asks if ask.trace is not None]
        return self._backends.tracing.calls(self.context.route.model, traces) if traces else nullcontext()

    async def read(self, attempts: Sequence[Attempt]) -> Sequence[OnlineRow]:
        """One enrichment read for the batch; when it fails, every attempt goes without."""
        values = [attempt.ask.value for attempt in attempts]
        try:
            return await self._backends.features.fetch(self.context.route.entity, values, self.context.views)
        except ServingError as error:
            _log.error("features unavailable", extra={"fields": {"error": str(error)}})
            for attempt in attempts:
                attempt.lose_features("the online feature store cannot be read")
            return ()

    async def climb(self, attempts: Sequence[Attempt], rows: Sequence[OnlineRow]) -> None:
        """Take every attempt up its ladder; one call a version and round, one deadline for all rounds.

        The deadline counts from the arrival of the last that is in the batch.
        """
        end = max((attempt.ask.arrived for attempt in attempts), default=0.0) + self._deadline
        pending = list(zip(attempts, rows, strict=True)) if rows else []
        while pending:
            groups: dict[str, list[Attempt]] = {}
            for attempt, row in pending:
                version = attempt.version
                if version is not None and self._enrich(attempt, self._served[version.version], row):
                    groups.setdefault(version.version, []).append(attempt)
            calls = [
                self._score_group(self._served[name], batch, end)
                for name, group in groups.items()
                for batch in _batches(group, self._served[name].version.maximum_batch)
            ]
            if len(calls) == 1:
                await calls[0]
            else:
                await asyncio.gather(*calls)
            pending = [pair for pair in pending if pair[0].is_open]

    def _enrich(self, attempt: Attempt, served: _Served, row: OnlineRow) -> bool:
        """Give an attempt its features for a version; a refusal touches this attempt only."""
        moment = attempt.ask.predicted_at
        try:
            attempt.enriched = enrich(self.context.route, served.views, row.features, row.timestamps, moment)
        except Problem as problem:
            attempt.refuse(problem)
        return attempt.is_open

    async def _score_group(self, served: _Served, group: Sequence[Attempt], end: float) -> None:
        """Add the request-time features, check all features, and give each attempt its outputs."""
        ready = admitted(served.version, served.breaker, self._transformed(served, group))
        tensors = served.inputs.tensors([attempt.enriched.features for attempt in ready]) if ready else {}
        if tensors is None:
            fitting = _refuse_misfits(served.version, ready)
            served.breaker.record(monotonic(), undecided=len(ready) - len(fitting))
            ready = fitting
            tensors = _tensors(served.version, ready)
        if ready:
            await self._score_batch(served, ready, tensors, end)

    def _transformed(self, served: _Served, group: Sequence[Attempt]) -> Sequence[Attempt]:
        """Run the version's transforms once for all; where that fails, one by one."""
        try:
            served.request_features.add(
                [attempt.enriched for attempt in group], [attempt.ask.predicted_at for attempt in group]
            )
        except ServingError as error:
            if len(group) == 1 or isinstance(error, ModelUnavailableError):
                fall(served.version, group, error)
                return ()
            return [attempt for each in group for attempt in self._transformed(served, [each])]
        return group

    async def _score_batch(
        self, served: _Served, group: Sequence[Attempt], tensors: Tensors, end: float
    ) -> None:
        """Ask the model; a batch it refuses is halved until the bad one is alone."""
        had_time = end - monotonic() >= self._deadline / 2
        try:
            score = await self._infer(served, tensors, end)
        except ModelError as error:
            if len(group) == 1:
                lose(served.version, served.breaker, group, error, had_time=had_time)
                return
            half = len(group) // 2
            for part in (group[:half], group[half:]):
                await self._score_batch(served, part, _tensors(served.version, part), end)
        except ServingError as error:
            lose(served.version, served.breaker, group, error, had_time=had_time)
        else:
            take(served.version, served.breaker, group, score)

    async def _infer(self, served: _Served, tensors: Tensors, end: float) -> npt.NDArray[np.float32]:
        left = end - monotonic()
        if left <= 0:
            raise DeadlineError("the deadline passed before the call")
        return await self._backends.inference.infer(self.context.route.model, served.version, tensors, left)

    async def _log(self, attempts: Sequence[Attempt]) -> None:
        """Append the batch's rows, to the disk where asked for; unless it succeeds nothing is answered.

        The batch keeps its place meanwhile: what queues behind it goes out in larger batches, not in more.
        """
        recorded_at, now = self._backends.clock(), monotonic()
        rows = [self.context.row(attempt, recorded_at, now) for attempt in attempts]
        try:
            settling = self._backends.log.record(rows)
            if settling is not None:
                await settling
        except Problem as problem:
            for attempt in attempts:
                attempt.refuse(problem)
        else:
            self._backends.telemetry.logged(rows)


def _batches(group: Sequence[Attempt], most: int) -> Iterator[Sequence[Attempt]]:
    return (group[start : start + most] for start in range(0, len(group), most))


def _tensors(version: VersionRoute, group: Sequence[Attempt]) -> Tensors:
    return to_tensors(version.signature, [attempt.enriched.features for attempt in group])


def _refuse_misfits(version: VersionRoute, group: Sequence[Attempt]) -> list[Attempt]:
    """Refuse the attempts whose features do not fit the signature, and return the others."""
    fitting = []
    for attempt in group:
        try:
            check_features(version.signature, attempt.enriched.features)
        except Problem as problem:
            attempt.refuse(problem)
        else:
            fitting.append(attempt)
    return fitting
