"""Bodies of requests and answers."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from include.contracts.predictions import FallbackReason, FeatureValue

Identifier = Annotated[str, Meta(min_length=1, max_length=128)]
Entity = dict[str, int | str]
Scalar = str | int | float | bool

_PREDICTION_OR_PROBLEM = {
    "items": {
        "oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Prediction", "ProblemDocument")]
    }
}


class PredictRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entity or several, never both."""

    entity: Entity | UnsetType = UNSET
    entities: Annotated[list[Entity], Meta(min_length=1)] | UnsetType = UNSET
    request_id: Identifier | None = None
    features: dict[str, FeatureValue] = {}
    """Request-time features, where the model's signature has transforms that need them."""


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """An answer; its row is in the prediction log before it is sent."""

    prediction_id: str
    model: str
    version: str | None
    """Version that answered; null for the default score."""
    variant: str
    """Variant the unit is assigned to, whichever version answered."""
    score: float | UnsetType = UNSET
    scores: dict[str, float] | UnsetType = UNSET
    """Score by class, of a multiclass model."""
    features_as_of: datetime | None
    """Oldest timestamp among the feature views used."""
    fallback: FallbackReason | None


class Predictions(msgspec.Struct, frozen=True):
    """Answers in the order of `entities`; an entity that cannot be answered has a problem instead."""

    predictions: Annotated[list[Any], Meta(extra_json_schema=_PREDICTION_OR_PROBLEM)]


class Outcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of a prediction, or of a unit of a model."""

    outcome_id: Identifier
    metric: Identifier
    value: float
    occurred_at: Annotated[datetime, Meta(tz=True)]
    prediction_id: Identifier | None = None
    unit: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    model: Identifier | None = None
    """Needed with `unit`; with `prediction_id` it is looked up."""


class OutcomeReceipt(msgspec.Struct, frozen=True):
    """How many outcomes were new, and how many were known already."""

    accepted: int
    duplicates: int


class TensorMetadata(msgspec.Struct, frozen=True):
    """Name, datatype and shape of a tensor; -1 is the batch."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(msgspec.Struct, frozen=True):
    """Open Inference Protocol's description of a model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ServerMetadata(msgspec.Struct, frozen=True):
    """Open Inference Protocol's description of a server."""

    name: str
    version: str
    extensions: list[str]


class InferInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input tensor; `data` in row-major order, nested or flat, unless it follows as binary.

    Among numbers `null` stands for a missing value; NaN and infinities are refused in either form.
    """

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | UnsetType = UNSET
    parameters: dict[str, Scalar] = {}


class InferRequestedOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One output asked for."""

    name: str
    parameters: dict[str, Scalar] = {}


class InferRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Open Inference Protocol's request."""

    inputs: Annotated[list[InferInput], Meta(min_length=1)]
    id: str = ""
    parameters: dict[str, Scalar] = {}
    outputs: list[InferRequestedOutput] = []


class InferOutput(msgspec.Struct, frozen=True, omit_defaults=True):
    """One output tensor."""

    name: str
    datatype: str
    shape: list[int]
    data: list[float] | UnsetType = UNSET
    parameters: dict[str, Scalar] = {}


class InferResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """Open Inference Protocol's answer; `parameters.prediction_ids` names the log's rows."""

    model_name: str
    model_version: str
    outputs: list[InferOutput]
    id: str = ""
    parameters: dict[str, Scalar] = {}
