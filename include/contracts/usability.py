"""Which features of an entity a version may see at a moment: one rule for the gateway and for batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from include.contracts.predictions import FallbackReason, FeatureValue
from include.contracts.signatures import FeatureInput, FeatureKind, Signature

_FLOAT32_MAX = 3.4028234e38


class FeatureFlaw(StrEnum):
    """What is wrong with an entity's features; the names of the gateway's problems."""

    UNKNOWN_ENTITY = "unknown-entity"
    STALE_FEATURES = "stale-features"
    MISSING_FEATURES = "missing-features"
    INVALID_FEATURES = "invalid-features"


@dataclass(slots=True)
class UsableFeatures:
    """What of an entity's features may be used at a moment."""

    features: dict[str, FeatureValue]
    """By name; None where the view is absent or stale."""
    timestamps: dict[str, datetime | None]
    """By view; None for a view that is absent, stale or of the future."""
    stale: tuple[str, ...]
    """Views whose row is older than its TTL."""
    absent: tuple[str, ...]
    """Views without a row at the moment."""

    @property
    def reason(self) -> FallbackReason | None:
        """Why some features are missing; None when all views are fresh."""
        if self.stale:
            return FallbackReason.STALE_FEATURES
        return FallbackReason.MISSING_FEATURES if self.absent else None

    @property
    def refusal(self) -> tuple[FeatureFlaw, str] | None:
        """Why the policy `reject` refuses them, in a kind and a sentence; None when all views are fresh."""
        if len(self.absent) == len(self.timestamps) and self.absent:
            return FeatureFlaw.UNKNOWN_ENTITY, "no feature view has a row of this entity at the event time"
        if self.stale:
            names = ", ".join(self.stale)
            return FeatureFlaw.STALE_FEATURES, f"older than their TTL at the event time: {names}"
        if self.absent:
            names = ", ".join(self.absent)
            return FeatureFlaw.MISSING_FEATURES, f"no row of this entity at the event time in: {names}"
        return None


def usable_features(
    views: Mapping[str, Sequence[str]],
    ttl_seconds: Mapping[str, float],
    features: Mapping[str, Mapping[str, FeatureValue]],
    timestamps: Mapping[str, datetime | None],
    moment: datetime,
) -> UsableFeatures:
    """Take a version's features as they may be used at a moment.

    A view stamped after the moment is absent: replayed history never sees its future.

    Args:
        views: features the version reads by view, as its signature names them.
        ttl_seconds: TTL by view; a view without one does not age.
        features: values by view and name.
        timestamps: event time of the entity's row by view.
        moment: event time of the prediction.
    """
    taken: dict[str, FeatureValue] = {}
    used: dict[str, datetime | None] = {}
    stale: list[str] = []
    absent: list[str] = []
    for view, names in views.items():
        stamp = timestamps.get(view)
        if stamp is None or stamp > moment:
            absent.append(view)
        elif (moment - stamp).total_seconds() > ttl_seconds.get(view, float("inf")):
            stale.append(view)
        else:
            used[view] = stamp
            values = features[view]
            for name in names:
                taken[name] = values.get(name)
            continue
        used[view] = None
        taken.update((name, None) for name in names)
    return UsableFeatures(taken, used, tuple(stale), tuple(absent))


def invalid_feature(signature: Signature, features: Mapping[str, FeatureValue]) -> str | None:
    """Say what is wrong with the first input a model does not accept; its value is not repeated."""
    for item in signature.inputs:
        flaw = _flaw(item, features.get(item.name))
        if flaw is not None:
            return f"feature {item.name!r} {flaw}"
    return None


def _flaw(item: FeatureInput, value: FeatureValue) -> str | None:
    if value is None or value != value:  # noqa: PLR0124 - NaN is a missing value
        return None if item.nullable else "is missing, and the model does not accept that"
    if item.kind is FeatureKind.CATEGORICAL:
        return None if isinstance(value, str) else "is not a string"
    return "is not a number" if isinstance(value, str) else _number_flaw(item, value)


def _number_flaw(item: FeatureInput, value: float) -> str | None:
    if abs(value) > _FLOAT32_MAX:
        return "is not finite"
    if item.minimum is not None and value < item.minimum:
        return f"is below {item.minimum:g}"
    if item.maximum is not None and value > item.maximum:
        return f"is above {item.maximum:g}"
    return None
