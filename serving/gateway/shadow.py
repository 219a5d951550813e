"""Shadow traffic: answered requests mirrored to a candidate, off the hot path.

What is mirrored waits in a bounded queue and goes out one batch at a time; when the queue is full, it is
dropped and counted. The candidate has connections, breakers and log rows of its own, so that its trouble is
nobody else's.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from logging import getLogger
from time import monotonic

import msgspec

from include.contracts.identifiers import uuid7
from include.contracts.predictions import PredictionRow, Source
from include.contracts.routes import ModelRoute, VersionRoute
from serving.gateway.attempts import Attempt, RouteContext
from serving.gateway.ladder import Assignment
from serving.gateway.pipeline import Backends, Pipeline
from serving.gateway.ports import OnlineRow
from serving.gateway.problems import Problem

MOST_ROWS = 32
"""Requests asked at once: few, since answers are made by the same processor in between."""

_log = getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mirrored:
    """An answered request that waits for the candidate, with the features it was answered from."""

    answered: Attempt
    row: OnlineRow


class Shadows:
    """The shadows of all routes."""

    def __init__(self, backends: Backends, queue_limit: int) -> None:
        """Args: backends: what candidates are asked with; inference and breakers are theirs alone."""
        self._backends = backends
        self._queue_limit = queue_limit
        self._running: set[asyncio.Task[None]] = set()

    def of(self, context: RouteContext) -> "Shadow | None":
        """Return the shadow of a route; None where it has none."""
        version = context.route.shadow
        if version is None:
            return None
        pipeline = Pipeline(replace(context, route=_alone(context.route, version)), self._backends)
        return Shadow(context, pipeline, self._backends, self._queue_limit, self._start)

    async def stop(self) -> None:
        """Drop what waits and end what runs."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)


class Shadow:
    """What mirrors one route's requests."""

    def __init__(
        self,
        answering: RouteContext,
        pipeline: Pipeline,
        backends: Backends,
        queue_limit: int,
        start: Callable[[Coroutine[object, object, None]], None],
    ) -> None:
        """Args: pipeline: of the candidate alone. start: runs its work."""
        self._route = answering.route
        self._pipeline = pipeline
        self._version = pipeline.context.route.champion
        self._backends = backends
        self._queue_limit = queue_limit
        self._start = start
        self._has_its_features = all(
            set(names) <= set(answering.views.get(view, ())) for view, names in pipeline.context.views.items()
        )
        self._queue: deque[Mirrored] = deque()
        self._is_running = False

    def mirror(self, attempts: Sequence[Attempt], rows: Sequence[OnlineRow]) -> None:
        """Queue those of a batch's answered requests whose units are mirrored."""
        for attempt, row in zip(attempts, rows, strict=False):
            if (
                attempt.outputs is None
                or attempt.problem is not None
                or not self._route.mirrors(attempt.unit)
            ):
                continue
            if len(self._queue) >= self._queue_limit:
                self._count("dropped", 1)
            else:
                self._queue.append(Mirrored(attempt, row))
        if self._queue and not self._is_running:
            self._is_running = True
            self._start(self._work())

    async def _work(self) -> None:
        try:
            while self._queue:
                size = min(len(self._queue), MOST_ROWS)
                await self._run([self._queue.popleft() for _ in range(size)])
        finally:
            self._is_running = False

    async def _run(self, batch: Sequence[Mirrored]) -> None:
        """Ask the candidate and log what it says; whatever goes wrong stays here."""
        try:
            attempts = [self._attempt(mirrored.answered) for mirrored in batch]
            rows = [mirrored.row for mirrored in batch]
            read = rows if self._has_its_features else await self._pipeline.read(attempts)
            await self._pipeline.climb(attempts, read)
            await self._log(batch, attempts)
        except Exception:  # noqa: BLE001 - nobody waits for it: its only reader is the log
            self._count("failed", len(batch))
            _log.exception("mirrored requests failed", extra={"fields": {"model": self._route.model}})

    def _attempt(self, answered: Attempt) -> Attempt:
        ask = replace(answered.ask, request_id=None, arrived=monotonic(), trace=None)
        nowhere = Assignment(Source.SHADOW, None, None)
        return Attempt(ask, answered.unit, uuid7(ask.predicted_at), nowhere, (self._version,))

    async def _log(self, batch: Sequence[Mirrored], attempts: Sequence[Attempt]) -> None:
        recorded_at, now = self._backends.clock(), monotonic()
        rows = [
            self._row(mirrored.answered, self._pipeline.context.row(attempt, recorded_at, now))
            for mirrored, attempt in zip(batch, attempts, strict=True)
        ]
        try:
            if (settling := self._backends.log.record(rows)) is not None:
                await settling
        except Problem:
            self._count("unlogged", len(rows))
            return
        self._backends.telemetry.logged(rows)
        answered = sum(row.outputs is not None for row in rows)
        self._count("answered", answered)
        self._count("failed", len(rows) - answered)

    def _row(self, answered: Attempt, row: PredictionRow) -> PredictionRow:
        return msgspec.structs.replace(
            row, source=Source.SHADOW, assigned_variant=None, shadow_of=answered.prediction_id
        )

    def _count(self, outcome: str, amount: int) -> None:
        if amount:
            self._backends.telemetry.shadowed.add(self._route.model, outcome, amount=amount)


def _alone(route: ModelRoute, version: VersionRoute) -> ModelRoute:
    """Return a route on which a version answers alone, with nothing to fall back to."""
    return route.unsplit().model_copy(
        update={
            "champion": version,
            "previous": None,
            "shadow": None,
            "shadow_share": 0.0,
            "fallbacks": (),
        }
    )
