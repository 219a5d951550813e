"""Freshness: which features of an entity may be used at a moment, and what the policy makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from include.contracts.predictions import FallbackReason, FeatureValue
from include.contracts.routes import ModelRoute, StalePolicy, VersionRoute
from serving.gateway.problems import (
    MISSING_FEATURES,
    STALE_FEATURES,
    UNKNOWN_ENTITY,
    Problem,
)


@dataclass(frozen=True, slots=True)
class Enriched:
    """What a version gets to see of an entity."""

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
    version: VersionRoute,
    features: Mapping[str, Mapping[str, FeatureValue]],
    timestamps: Mapping[str, datetime | None],
    moment: datetime,
) -> Enriched:
    """Take a version's features as they may be used at a moment.

    A view stamped after the moment is absent: replayed history never sees its future. Under the policy
    `default` the features of an absent or stale view are missing values.

    Raises:
        Problem: under the policy `reject`, 404 for an entity without any features, 422 for one whose
            features are stale or partly absent.
    """
    taken: dict[str, FeatureValue] = {}
    used: dict[str, datetime | None] = {}
    stale: list[str] = []
    absent: list[str] = []
    for view, names in version.signature.views.items():
        stamp = timestamps.get(view)
        if stamp is None or stamp > moment:
            absent.append(view)
        elif (moment - stamp).total_seconds() > route.feature_ttl_seconds.get(view, float("inf")):
            stale.append(view)
        else:
            used[view] = stamp
            taken.update((name, features[view].get(name)) for name in names)
            continue
        used[view] = None
        taken.update((name, None) for name in names)
    if (stale or absent) and route.stale_policy is StalePolicy.REJECT:
        raise _refusal(stale, absent, known=len(absent) < len(used))
    return Enriched(taken, used, _reason(stale, absent))


def _reason(stale: list[str], absent: list[str]) -> FallbackReason | None:
    if stale:
        return FallbackReason.STALE_FEATURES
    return FallbackReason.MISSING_FEATURES if absent else None


def _refusal(stale: list[str], absent: list[str], *, known: bool) -> Problem:
    if not known:
        return Problem(UNKNOWN_ENTITY, "no feature view has a row of this entity at the event time")
    if stale:
        return Problem(STALE_FEATURES, f"older than their TTL at the event time: {', '.join(stale)}")
    return Problem(MISSING_FEATURES, f"no row of this entity at the event time in: {', '.join(absent)}")
