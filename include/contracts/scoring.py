"""Batch scoring: by which version, as of when, under which policy; and what its steps hand on."""

from datetime import UTC
from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field

from include.contracts.identifiers import derived_uuid7
from include.contracts.moments import UtcDatetime
from include.contracts.predictions import Status
from include.contracts.routes import EntityKey, StalePolicy
from include.contracts.signatures import Signature

_STRICT = ConfigDict(frozen=True, extra="forbid")


class ScoringPlan(BaseModel):
    """One batch: a version at a moment. It holds no entity, so it may travel through XCom."""

    model_config = _STRICT

    model: str
    version: str
    artefact_sha256: str
    signature: Signature
    transform_sha256: dict[str, str]
    """SHA-256 of each request-time transform's source, by name; no other is run."""
    feature_ttl_seconds: dict[str, float]
    """TTL by view."""
    entity: EntityKey
    stale_policy: StalePolicy
    default_score: tuple[float, ...] | None
    """What answers where the model cannot; none means the row fails."""
    route_snapshot_id: str
    """Routes at the time of planning."""
    as_of: UtcDatetime

    @cached_property
    def batch_id(self) -> str:
        """Name of the batch, the `request_id` of its rows."""
        return f"batch:{self.model}:{self.version}:{self.as_of.astimezone(UTC).isoformat()}"

    def prediction_id(self, unit: str) -> str:
        """Return the id of a unit's prediction; the same batch gives the same id."""
        return derived_uuid7(self.as_of, f"{self.batch_id}\n{unit}")


class ScoringSet(BaseModel):
    """Features of a batch's entities, frozen under the hash of the file."""

    model_config = _STRICT

    sha256: str
    uri: str
    """Path inside the artefact store."""
    rows: int = Field(ge=1)


class BatchReport(BaseModel):
    """What a run of a batch did."""

    model_config = _STRICT

    logged: dict[Status, int]
    """Rows appended to the prediction log, by status."""
    known: int
    """Rows that an earlier run had appended."""


def stamp_column(view: str) -> str:
    """Return the scoring set's column with the event time of an entity's row in a view."""
    return f"{view}__timestamp"
