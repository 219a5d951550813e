"""Routes: all that serving needs, in one immutable snapshot; the gateway never reads a contract."""

from enum import StrEnum
from math import fsum
from typing import Any, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from include.contracts.assignment import is_assigned
from include.contracts.signatures import Signature
from include.contracts.versions import triton_name

CHAMPION = "champion"
"""Variant that keeps what serves."""
CHALLENGER = "challenger"
"""Variant on the new version; further ones are `challenger_2` and so on."""


class EntityType(StrEnum):
    """Type of an entity's join key."""

    INT64 = "int64"
    STRING = "string"


class StalePolicy(StrEnum):
    """What the gateway does with a feature older than its view's TTL, or absent."""

    REJECT = "reject"
    DEFAULT = "default"


class Fallback(StrEnum):
    """One rung of the ladder taken when a version cannot answer."""

    CHAMPION = "champion"
    PREVIOUS_VERSION = "previous_version"
    DEFAULT_SCORE = "default_score"
    REFUSE = "refuse"


class EntityKey(BaseModel):
    """Name and type of the key a request names its entity by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Column that carries the key, and its name in requests."""
    type: EntityType
    """Type of the key."""

    def canonical(self, value: int | str) -> str:
        """Return the canonical string of a key value, the `unit` of rows and of assignment."""
        return str(value)


class VersionRoute(BaseModel):
    """One servable version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    artefact_sha256: str
    signature: Signature
    endpoints: tuple[str, ...] = Field(min_length=1)
    """host:port of the Tritons that hold it."""
    maximum_batch: int = Field(default=256, ge=1)
    """Most rows one call may have there."""
    transform_sha256: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of each request-time transform's source, by name; the gateway runs no other."""

    def triton_model(self, model: str) -> str:
        """Return the name Triton knows this version by."""
        return triton_name(model, self.version)


class Challenger(BaseModel):
    """One more version beside the challenger: an arm of an experiment that compares more than two."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    route: VersionRoute
    start: float = Field(gt=0.0, lt=1.0)
    """Place of the hash space its units begin at; it never moves, so that nobody changes arms in a ramp."""
    share: float = Field(gt=0.0, lt=1.0)
    """Share of units on it."""

    def has(self, place: float) -> bool:
        """Say whether a unit's place is among its own."""
        return self.start <= place < self.start + self.share


class Arm(NamedTuple):
    """A version that units are assigned to, under its name in the prediction log."""

    variant: str
    version: VersionRoute
    share: float


class ModelRoute(BaseModel):
    """How requests for one model are answered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    entity: EntityKey
    feature_ttl_seconds: dict[str, float]
    """TTL by feature view."""
    stale_policy: StalePolicy
    fallbacks: tuple[Fallback, ...]
    default_score: tuple[float, ...] | None = None
    deadline_seconds: float = Field(gt=0)
    champion: VersionRoute
    challenger: VersionRoute | None = None
    share: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of units on the challenger."""
    further: tuple[Challenger, ...] = ()
    """Arms of an experiment beside the challenger, by their start."""
    change_id: str | None = None
    """Release or experiment behind the split; it is the salt of the assignment."""
    previous: VersionRoute | None = None
    """The champion before this one, kept warm."""
    shadow: VersionRoute | None = None
    """A candidate that requests are mirrored to; it never answers."""
    shadow_share: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of units whose requests are mirrored."""

    @model_validator(mode="after")
    def _consistent(self) -> "ModelRoute":
        if (self.challenger is None) != (self.share == 0.0) or (self.challenger and not self.change_id):
            raise ValueError(
                f"{self.model}: a share above 0 and a change_id go with a challenger, and only with one"
            )
        self._check_further()
        if (self.shadow is None) != (self.shadow_share == 0.0):
            raise ValueError(f"{self.model}: a shadow_share above 0 goes with a shadow, and only with one")
        if self.shadow is not None and self.shadow.version in self._assigned:
            raise ValueError(f"{self.model}: {self.shadow.version} answers already and cannot be its shadow")
        if Fallback.DEFAULT_SCORE in self.fallbacks and self.default_score is None:
            raise ValueError(f"{self.model}: the fallback 'default_score' needs a default_score")
        return self

    def _check_further(self) -> None:
        if self.further and self.challenger is None:
            raise ValueError(f"{self.model}: further arms go with a challenger, and only with one")
        ends = (self.share, *(each.start + each.share for each in self.further))
        starts = (*(each.start for each in self.further), 1.0)
        if any(start < end for end, start in zip(ends, starts, strict=True)):
            raise ValueError(f"{self.model}: arms overlap; a unit belongs to one")
        assigned = [arm.version.version for arm in self.arms]
        if len(set(assigned)) < len(assigned):
            raise ValueError(f"{self.model}: two arms have the same version: {', '.join(assigned)}")

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the arms there are not: a gateway that knows none yet reads every other route."""
        said: dict[str, Any] = handler(self)
        if not self.further:
            said.pop("further", None)
        return said

    @property
    def challengers(self) -> tuple[Arm, ...]:
        """The versions beside the champion that units are assigned to, in the order of their places."""
        if self.challenger is None:
            return ()
        others = (
            Arm(f"{CHALLENGER}_{number}", each.route, each.share)
            for number, each in enumerate(self.further, start=2)
        )
        return (Arm(CHALLENGER, self.challenger, self.share), *others)

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Every version that units are assigned to, the champion first."""
        taken = fsum(arm.share for arm in self.challengers)
        return (Arm(CHAMPION, self.champion, 1.0 - taken), *self.challengers)

    def variant_at(self, place: float) -> str:
        """Return the variant of a unit by its place under the salt of the change."""
        if self.challenger is None:
            return CHAMPION
        if place < self.share:
            return CHALLENGER
        for number, each in enumerate(self.further, start=2):
            if each.has(place):
                return f"{CHALLENGER}_{number}"
        return CHAMPION

    def unsplit(self) -> "ModelRoute":
        """Return the route with all traffic on the champion."""
        return self.model_copy(update={"challenger": None, "share": 0.0, "further": (), "change_id": None})

    @property
    def versions(self) -> tuple[VersionRoute, ...]:
        """Every version that may answer."""
        found = (*(arm.version for arm in self.arms), self.previous)
        return tuple(version for version in found if version is not None)

    @property
    def loaded(self) -> tuple[VersionRoute, ...]:
        """Every version that must be loaded: those that may answer, and the shadow."""
        known = {item.version for item in self.versions}
        alone = self.shadow is not None and self.shadow.version not in known
        return (*self.versions, self.shadow) if alone and self.shadow is not None else self.versions

    def mirrors(self, unit: str) -> bool:
        """Say whether a unit's requests are mirrored, at a place of its own for each shadow.

        It is independent of the unit's variant, and a unit that is mirrored at some share is at every larger.
        """
        if self.shadow is None:
            return False
        return is_assigned(f"shadow:{self.model}:{self.shadow.version}", unit, self.shadow_share)

    @property
    def _assigned(self) -> frozenset[str]:
        return frozenset(arm.version.version for arm in self.arms)


class RouteSnapshot(BaseModel):
    """All routes at one moment, swapped whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    snapshot_id: str
    """`<sequence>-<first 12 hex digits of the hash of the routes>`."""
    routes: dict[str, ModelRoute]
    retired: dict[str, str] = Field(default_factory=dict)
    """Why each retired model serves no more, by model."""

    @property
    def triton_models(self) -> tuple[str, ...]:
        """Names of all Triton models the routes need, sorted."""
        return tuple(sorted({v.triton_model(r.model) for r in self.routes.values() for v in r.loaded}))
