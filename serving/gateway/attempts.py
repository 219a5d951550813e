"""One entity on its way through a batch: what was asked, what became of it, the row and the answer."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import msgspec

from include.contracts.identifiers import uuid7
from include.contracts.predictions import FallbackReason, PredictionRow, Source, Status
from include.contracts.routes import ModelRoute, VersionRoute
from include.contracts.signatures import Task
from serving.gateway.freshness import Enriched
from serving.gateway.ladder import Assignment, assign, rungs
from serving.gateway.problems import FEATURES_UNAVAILABLE, MODEL_UNAVAILABLE, OVERLOADED, Problem
from serving.gateway.request_features import TransformLoader
from serving.gateway.schemas import Prediction
from serving.gateway.tracing import RequestTrace

_NOTHING = Enriched({}, {}, None)


@dataclass(slots=True)
class Ask:
    """One entity of one request; never changed, but freezing it would cost a microsecond a request."""

    value: int | str
    request_id: str | None
    body_sha256: str
    key_id: str
    predicted_at: datetime
    arrived: float
    """Monotonic seconds."""
    index: int = 0
    """Place of the entity in its request."""
    entities: int = 1
    """Entities of the request."""
    trace: RequestTrace | None = None


@dataclass(slots=True)
class Attempt:
    """The state of an ask: rungs are tried in order until one gives outputs or the ask is refused."""

    ask: Ask
    unit: str
    prediction_id: str
    assignment: Assignment
    ladder: tuple[VersionRoute | tuple[float, ...], ...]
    rung: int = 0
    enriched: Enriched = _NOTHING
    outputs: tuple[float, ...] | None = None
    reason: FallbackReason | None = None
    errors: tuple[str, ...] = ()
    problem: Problem | None = None

    @property
    def version(self) -> VersionRoute | None:
        """The version on the current rung; None on the default score and past the end."""
        rung = self.ladder[self.rung] if self.rung < len(self.ladder) else None
        return None if isinstance(rung, tuple) else rung

    @property
    def is_open(self) -> bool:
        """Whether the attempt is neither answered nor refused yet."""
        return self.outputs is None and self.problem is None

    def refuse(self, problem: Problem) -> None:
        """End the attempt without an answer."""
        self.problem = problem
        self.errors = (*self.errors, f"{problem.kind.slug}: {problem.detail}")

    def lose_features(self, error: str) -> None:
        """Go without features: no version can be asked, only the default score answers."""
        self._skip_versions(FallbackReason.FEATURES_UNAVAILABLE, Problem(FEATURES_UNAVAILABLE, error))

    def come_too_late(self) -> None:
        """Let the deadline have passed in the queue: no version is asked, only the default score answers."""
        self._skip_versions(FallbackReason.OVERLOAD, Problem(OVERLOADED, "its deadline passed in the queue"))

    def _skip_versions(self, reason: FallbackReason, problem: Problem) -> None:
        for rung, default in enumerate(self.ladder):
            if isinstance(default, tuple):
                self.rung, self.outputs = rung, default
                self.reason = reason
                self.errors = (*self.errors, problem.detail)
                return
        self.refuse(problem)

    def fall(self, reason: FallbackReason, error: str) -> None:
        """Step to the next rung; past the last one the attempt is refused."""
        self.reason = self.reason or reason
        self.errors = (*self.errors, error)
        self.rung += 1
        if self.rung >= len(self.ladder):
            self.problem = Problem(MODEL_UNAVAILABLE, "no version could answer and no fallback is left")
        elif isinstance(default := self.ladder[self.rung], tuple):
            self.outputs = default


@dataclass(frozen=True)
class RouteContext:
    """A route and the snapshot it belongs to."""

    snapshot_id: str
    route: ModelRoute
    load: TransformLoader
    """Finds the transforms of the route's versions."""

    @cached_property
    def views(self) -> dict[str, tuple[str, ...]]:
        """Features by view, of all versions of the route together."""
        merged: dict[str, dict[str, None]] = {}
        for version in self.route.versions:
            for view, names in version.signature.views.items():
                merged.setdefault(view, {}).update(dict.fromkeys(names))
        return {view: tuple(names) for view, names in merged.items()}

    @cached_property
    def ladders(self) -> dict[str, tuple[VersionRoute | tuple[float, ...], ...]]:
        """What may answer, in order, by variant."""
        return {arm.variant: rungs(self.route, arm.variant) for arm in self.route.arms}

    def attempt(self, ask: Ask) -> Attempt:
        """Start an attempt: the unit is assigned and its ladder known."""
        unit = self.route.entity.canonical(ask.value)
        assignment = assign(self.route, unit)
        return Attempt(ask, unit, uuid7(ask.predicted_at), assignment, self.ladders[assignment.variant])

    def row(self, attempt: Attempt, recorded_at: datetime, now: float) -> PredictionRow:
        """Return the log row of an ended attempt; `now` in monotonic seconds."""
        ask, version = attempt.ask, attempt.version
        return PredictionRow(
            prediction_id=attempt.prediction_id,
            request_id=ask.request_id,
            body_sha256=ask.body_sha256,
            model=self.route.model,
            entity={self.route.entity.name: ask.value},
            unit=attempt.unit,
            assigned_variant=attempt.assignment.variant,
            served_version=version.version if version and attempt.outputs else None,
            artefact_sha256=version.artefact_sha256 if version and attempt.outputs else None,
            route_snapshot_id=self.snapshot_id,
            release_or_experiment_id=self.route.change_id,
            bucket=attempt.assignment.bucket,
            share=attempt.assignment.share,
            predicted_at=ask.predicted_at,
            recorded_at=recorded_at,
            features=attempt.enriched.features,
            feature_timestamps=attempt.enriched.timestamps,
            request_features=attempt.enriched.request,
            outputs=attempt.outputs,
            status=_status(attempt),
            fallback_reason=_reason(attempt),
            source=Source.LIVE,
            latency_seconds=now - ask.arrived,
            key_id=ask.key_id,
            error="; ".join(attempt.errors) or None,
            request_index=ask.index,
            request_entities=ask.entities,
        )

    def answer(self, attempt: Attempt) -> Prediction:
        """Return the answer of an attempt that has outputs."""
        outputs = attempt.outputs or ()
        signature = (attempt.version or self.route.champion).signature
        multiclass = signature.task is Task.MULTICLASS
        scores = dict(zip(signature.classes, outputs, strict=True)) if multiclass else msgspec.UNSET
        as_of = attempt.enriched.as_of
        return Prediction(
            prediction_id=attempt.prediction_id,
            model=self.route.model,
            version=attempt.version.version if attempt.version else None,
            variant=attempt.assignment.variant,
            score=msgspec.UNSET if multiclass else outputs[0],
            scores=scores,
            features_as_of=as_of.astimezone(UTC) if as_of else None,
            fallback=_reason(attempt),
        )


def _reason(attempt: Attempt) -> FallbackReason | None:
    """A version's failure outweighs what its features lacked."""
    return attempt.reason or attempt.enriched.reason


def _status(attempt: Attempt) -> Status:
    if attempt.outputs is not None:
        return Status.FALLBACK if _reason(attempt) else Status.OK
    refused_by_us = attempt.problem is not None and attempt.problem.kind.status < 500  # noqa: PLR2004
    return Status.REFUSED if refused_by_us else Status.FAILED
