"""One entity's rows taken away everywhere: what the ledger keeps of it, which never is the entity."""

from pydantic import BaseModel, ConfigDict, Field


class Erasure(BaseModel):
    """What one erasure did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    erasure_id: str
    """Random: nothing leads from it to the entity."""
    entity: str
    """Name of the entity's key, as contracts have it."""
    removed: dict[str, int]
    """Rows taken away, by where they lay."""
    snapshots: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of each training set that was replaced, and of the one in its place."""
    reason: str


class Successor(BaseModel):
    """Lies beside where a training set lay: which one took its place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    uri: str
    rows: int
    erasure_id: str
