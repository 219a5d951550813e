"""Routes: all that serving needs, in one immutable snapshot; the gateway never reads a contract."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, model_validator

from include.contracts.signatures import Signature
from include.contracts.versions import triton_name


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
    change_id: str | None = None
    """Release or experiment behind the split; it is the salt of the assignment."""
    previous: VersionRoute | None = None
    """The champion before this one, kept warm."""

    @model_validator(mode="after")
    def _consistent(self) -> "ModelRoute":
        if (self.challenger is None) != (self.share == 0.0) or (self.challenger and not self.change_id):
            raise ValueError(
                f"{self.model}: a share above 0 and a change_id go with a challenger, and only with one"
            )
        if Fallback.DEFAULT_SCORE in self.fallbacks and self.default_score is None:
            raise ValueError(f"{self.model}: the fallback 'default_score' needs a default_score")
        return self

    @property
    def versions(self) -> tuple[VersionRoute, ...]:
        """Every version that must be loaded for this route."""
        return tuple(v for v in (self.champion, self.challenger, self.previous) if v is not None)


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
        return tuple(sorted({v.triton_model(r.model) for r in self.routes.values() for v in r.versions}))
