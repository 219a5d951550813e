"""Rows of the prediction and outcome logs: msgspec structs, since they are written on the hot path."""

from datetime import datetime
from enum import StrEnum

import msgspec

SCHEMA_VERSION = 1

FeatureValue = float | int | str | bool | None


class Source(StrEnum):
    """Where a prediction came from."""

    LIVE = "live"
    SHADOW = "shadow"
    BATCH = "batch"
    OIP = "oip"
    DRILL = "drill"


class Status(StrEnum):
    """How an attempt ended."""

    OK = "ok"
    FALLBACK = "fallback"
    REFUSED = "refused"
    FAILED = "failed"


class FallbackReason(StrEnum):
    """Why an answer did not come from the assigned version with fresh features."""

    STALE_FEATURES = "stale_features"
    MISSING_FEATURES = "missing_features"
    FEATURES_UNAVAILABLE = "features_unavailable"
    MODEL_UNAVAILABLE = "model_unavailable"
    MODEL_ERROR = "model_error"
    DEADLINE = "deadline"
    OVERLOAD = "overload"
    BREAKER_OPEN = "breaker_open"


NOT_ANSWERED = frozenset(
    {
        FallbackReason.MODEL_UNAVAILABLE,
        FallbackReason.MODEL_ERROR,
        FallbackReason.DEADLINE,
        FallbackReason.BREAKER_OPEN,
    }
)
"""Fallbacks that say the assigned version did not answer; the others say what its features lacked."""


class PredictionRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One attempt to predict, answered or not.

    `predicted_at` is event time and decides the partition; `recorded_at` is wall time.
    """

    schema_version: int = SCHEMA_VERSION
    prediction_id: str
    request_id: str | None
    body_sha256: str
    model: str
    entity: dict[str, int | str]
    unit: str
    assigned_variant: str | None
    served_version: str | None
    artefact_sha256: str | None
    route_snapshot_id: str
    release_or_experiment_id: str | None
    bucket: float | None
    share: float | None
    predicted_at: datetime
    recorded_at: datetime
    features: dict[str, FeatureValue]
    feature_timestamps: dict[str, datetime | None]
    request_features: dict[str, FeatureValue]
    outputs: tuple[float, ...] | None
    status: Status
    fallback_reason: FallbackReason | None
    source: Source
    latency_seconds: float
    key_id: str | None
    error: str | None = None
    request_index: int = 0
    """Place of the entity in its request."""
    request_entities: int = 1
    """Entities of its request, each of which has a row unless the process was killed."""
    shadow_of: str | None = None
    """Of a shadow row: the prediction that was answered."""


class OutcomeRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of a prediction or a unit, as told to `/v1/outcomes`."""

    schema_version: int = SCHEMA_VERSION
    outcome_id: str
    model: str
    metric: str
    value: float
    occurred_at: datetime
    recorded_at: datetime
    prediction_id: str | None = None
    unit: str | None = None
    key_id: str | None = None
