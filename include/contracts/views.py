"""Feature views: what a view is, as `views/<name>.yaml` describes it."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from include.contracts.checks import Checks
from include.contracts.moments import Duration
from include.contracts.routes import EntityKey
from include.contracts.sources import ColumnType

TIMESTAMP = "event_timestamp"
"""Column of a row's day."""


class ViewField(BaseModel):
    """One feature of a view."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    dtype: ColumnType
    description: str


class ViewDefinition(BaseModel):
    """`views/<name>.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str
    owner: str
    entity: EntityKey
    ttl: Duration
    """Age past which a value must not be used any more."""
    window: Duration | None = None
    """How far before its day a row looks; none: at all there is, or its sources do not say when."""
    sources: tuple[str, ...] = Field(min_length=1)
    fields: tuple[ViewField, ...] = Field(min_length=1)
    checks: Checks = Checks()
    """What its rows must be like before they are published."""

    @model_validator(mode="after")
    def _checked_are_columns(self) -> "ViewDefinition":
        unknown = sorted(self.checks.named - set(self.columns))
        if unknown:
            raise ValueError(f"checks name columns that do not exist: {', '.join(unknown)}")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a computed row, in order."""
        return (self.entity.name, TIMESTAMP, *(field.name for field in self.fields))
