"""A chunk of entities on its way through a version: the gateway's rules, run on columns and in process."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

from include.adapters.onnx_model import OnnxModel
from include.config.transforms import Transform, as_trained, run_transform
from include.contracts.errors import ModelError
from include.contracts.predictions import FallbackReason, FeatureValue, PredictionRow, Source, Status
from include.contracts.routes import StalePolicy
from include.contracts.scoring import ScoringPlan, stamp_column
from include.contracts.signatures import MOMENT
from include.contracts.usability import FeatureFlaw, UsableFeatures, invalid_feature, usable_features

Outputs = tuple[float, ...]
Row = Mapping[str, Any]
"""A row of a scoring set: the entity's key, features, and event times by `stamp_column`."""


@dataclass(slots=True)
class Attempt:
    """One entity: outputs, or why there are none."""

    value: int | str
    usable: UsableFeatures
    request: dict[str, FeatureValue] = field(default_factory=dict)
    outputs: Outputs | None = None
    version_answered: bool = False
    reason: FallbackReason | None = None
    error: str | None = None
    status: Status = Status.OK

    @property
    def features(self) -> dict[str, FeatureValue]:
        """Values by name; request-time features are added to them."""
        return self.usable.features

    def refuse(self, flaw: FeatureFlaw, detail: str) -> None:
        """End without an answer because of what the entity's features are."""
        self.status, self.error = Status.REFUSED, f"{flaw.value}: {detail}"

    def answer(self, outputs: Outputs) -> None:
        """End with the version's answer."""
        self.outputs, self.version_answered = outputs, True
        self.reason = self.usable.reason
        self.status = Status.FALLBACK if self.reason else Status.OK

    def fall(self, default: Outputs | None, error: str) -> None:
        """End with the default score, or without an answer, because the version could not."""
        self.outputs, self.reason, self.error = default, FallbackReason.MODEL_ERROR, error
        self.status = Status.FALLBACK if default else Status.FAILED


class Scorer:
    """A planned version, its graph loaded and its transforms at hand.

    Args:
        plan: the batch.
        graph: the version's ONNX file.
        load: returns a request-time transform by name.

    Raises:
        ArtefactError: the graph cannot be loaded.
        ContractError: a transform is missing, or not the one the version was trained with.
    """

    def __init__(self, plan: ScoringPlan, graph: Path, load: Callable[[str], Transform]) -> None:
        self._plan = plan
        self._views = plan.signature.views
        self._model = OnnxModel(graph, plan.signature)
        self._transforms = {
            item.name: as_trained(load(str(item.transform)), plan.version, plan.transform_sha256)
            for item in plan.signature.transformed
        }

    def score(self, rows: Sequence[Row]) -> list[Attempt]:
        """Return an ended attempt for each row of a scoring set; what fails for one fails for one."""
        attempts = [self._attempt(row) for row in rows]
        usable = [attempt for attempt in attempts if attempt.status is Status.OK]
        valid = [attempt for attempt in self._each(self._transform, usable) if self._is_valid(attempt)]
        self._each(self._predict, valid)
        return attempts

    def _attempt(self, row: Row) -> Attempt:
        plan = self._plan
        stamps = {view: _utc(row[stamp_column(view)]) for view in self._views}
        by_view = dict.fromkeys(self._views, row)
        usable = usable_features(self._views, plan.feature_ttl_seconds, by_view, stamps, plan.as_of)
        attempt = Attempt(row[plan.entity.name], usable)
        if plan.stale_policy is StalePolicy.REJECT and usable.refusal is not None:
            attempt.refuse(*usable.refusal)
        return attempt

    def _each(self, step: Callable[[Sequence[Attempt]], None], attempts: Sequence[Attempt]) -> list[Attempt]:
        """Take attempts through a step together; where that fails, in halves, until the bad one is alone."""
        if not attempts:
            return []
        try:
            step(attempts)
        except ModelError as error:
            if len(attempts) == 1:
                attempts[0].fall(self._plan.default_score, str(error))
                return []
            half = len(attempts) // 2
            return [*self._each(step, attempts[:half]), *self._each(step, attempts[half:])]
        return list(attempts)

    def _transform(self, attempts: Sequence[Attempt]) -> None:
        """Add the request-time features, as of the batch's moment; all of them or none."""
        if not self._transforms:
            return
        seconds = self._plan.as_of.timestamp()
        rows, moments = [attempt.features for attempt in attempts], [seconds] * len(attempts)
        computed = {
            item.name: run_transform(self._transforms[item.name], item, rows, moments)
            for item in self._plan.signature.transformed
        }
        for index, attempt in enumerate(attempts):
            attempt.request[MOMENT] = seconds
            attempt.features.update((name, column[index]) for name, column in computed.items())

    def _is_valid(self, attempt: Attempt) -> bool:
        detail = invalid_feature(self._plan.signature, attempt.features)
        if detail is not None:
            attempt.refuse(FeatureFlaw.INVALID_FEATURES, detail)
        return detail is None

    def _predict(self, attempts: Sequence[Attempt]) -> None:
        names = [item.name for item in self._plan.signature.inputs]
        columns = {name: [attempt.features[name] for attempt in attempts] for name in names}
        try:
            scores = self._model.predict(columns)
        except Exception as error:
            raise ModelError(f"{self._plan.version}: {error}") from error
        for attempt, outputs in zip(attempts, scores.tolist(), strict=True):
            if all(map(isfinite, outputs)):
                attempt.answer(tuple(outputs))
            else:
                attempt.fall(self._plan.default_score, f"{self._plan.version}: the score is not finite")


def prediction_row(
    plan: ScoringPlan, attempt: Attempt, *, body_sha256: str, recorded_at: datetime, seconds: float
) -> PredictionRow:
    """Return an attempt's row of the prediction log; nothing was assigned, so it has no variant.

    Args:
        plan: the batch.
        attempt: ended.
        body_sha256: hash of what was asked, the scoring set.
        recorded_at: wall time.
        seconds: how long its chunk took.
    """
    unit = plan.entity.canonical(attempt.value)
    return PredictionRow(
        prediction_id=plan.prediction_id(unit),
        request_id=plan.batch_id,
        body_sha256=body_sha256,
        model=plan.model,
        entity={plan.entity.name: attempt.value},
        unit=unit,
        assigned_variant=None,
        served_version=plan.version if attempt.version_answered else None,
        artefact_sha256=plan.artefact_sha256 if attempt.version_answered else None,
        route_snapshot_id=plan.route_snapshot_id,
        release_or_experiment_id=None,
        bucket=None,
        share=None,
        predicted_at=plan.as_of,
        recorded_at=recorded_at,
        features=attempt.features,
        feature_timestamps=attempt.usable.timestamps,
        request_features=attempt.request,
        outputs=attempt.outputs,
        status=attempt.status,
        fallback_reason=attempt.reason,
        source=Source.BATCH,
        latency_seconds=seconds,
        key_id=None,
        error=attempt.error,
    )


def _utc(stamp: object) -> datetime | None:
    return stamp.astimezone(UTC) if isinstance(stamp, datetime) else None
