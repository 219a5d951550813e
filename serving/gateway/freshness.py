"""Freshness: what a route's policy makes of the features that may be used at a moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from include.contracts.predictions import FallbackReason, FeatureValue
from include.contracts.routes import ModelRoute, StalePolicy
from include.contracts.usability import FeatureFlaw, usable_features
from serving.gateway.problems import MISSING_FEATURES, STALE_FEATURES, UNKNOWN_ENTITY, Problem

_KINDS = {
    FeatureFlaw.UNKNOWN_ENTITY: UNKNOWN_ENTITY,
    FeatureFlaw.STALE_FEATURES: STALE_FEATURES,
    FeatureFlaw.MISSING_FEATURES: MISSING_FEATURES,
}


@dataclass(slots=True, eq=False)
class Enriched:
    """What a version gets to see of an entity; request-time features are added to it."""

    features: dict[str, FeatureValue]
    timestamps: dict[str, datetime | None]
    """By view; None for a view that is absent, stale or of the future."""
    reason: FallbackReason | None
    """Why some features are missing; None when all views are fresh."""
    request: dict[str, FeatureValue] = field(default_factory=dict)
    """What the request itself brought to transforms."""

    @property
    def as_of(self) -> datetime | None:
        """Oldest timestamp among the views used."""
        return min((moment for moment in self.timestamps.values() if moment is not None), default=None)


def enrich(
    route: ModelRoute,
    views: Mapping[str, Sequence[str]],
    features: Mapping[str, Mapping[str, FeatureValue]],
    timestamps: Mapping[str, datetime | None],
    moment: datetime,
) -> Enriched:
    """Take a version's features as they may be used at a moment.

    Under the policy `default` the features of an absent or stale view are missing values.

    Args:
        route: the model's policy and TTLs.
        views: features the version reads, by view.
        features: values by view and name.
        timestamps: event time of the entity's row by view.
        moment: event time of the prediction.

    Raises:
        Problem: under the policy `reject`, 404 for an entity without any features, 422 for one whose
            features are stale or partly absent.
    """
    usable = usable_features(views, route.feature_ttl_seconds, features, timestamps, moment)
    if route.stale_policy is StalePolicy.REJECT and usable.refusal is not None:
        flaw, detail = usable.refusal
        raise Problem(_KINDS[flaw], detail)
    return Enriched(usable.features, usable.timestamps, usable.reason)
