"""Raw sources: where they lie, and what their columns are called and typed here."""

from datetime import timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, model_validator

from include.contracts.checks import Checks
from include.contracts.moments import Duration

SOURCES_NAME = "sources"
"""Folder of a model folder that holds its own source definitions."""


class ColumnType(StrEnum):
    """Type of a column, in the words of Arrow."""

    INT64 = "int64"
    FLOAT64 = "float64"
    STRING = "string"
    BOOL = "bool"
    TIMESTAMP = "timestamp"
    """UTC; a raw column without a zone is read as UTC."""


class SourceColumn(BaseModel):
    """One column of a source under its canonical name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    """Name in the raw file."""
    type: ColumnType
    nullable: bool = False
    otherwise: str | None = None
    """Canonical column whose value stands in where the file has no such column."""


class SourceDefinition(BaseModel):
    """A raw source, as `sources/<name>.yaml` describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str
    uri: str
    """A Parquet or CSV path or glob (relative to the YAML's folder), or `package:<name>/<path>`."""
    columns: dict[str, SourceColumn] = Field(min_length=1)
    """By canonical name."""
    event_at: str | None = None
    """Canonical column of the event time; none for a source that is not about moments."""
    ingested_at: str | None = None
    """Canonical column of the moment a row arrived; none means: at its event time."""
    longest_silence: Duration = timedelta(days=1)
    """Longest time without a row after which the source still counts as alive."""
    checks: Checks = Checks()
    """What its rows must be like before anything is computed from them."""

    @model_validator(mode="after")
    def _times_are_columns(self) -> "SourceDefinition":
        for key in ("event_at", "ingested_at"):
            name = getattr(self, key)
            if name is not None and (
                name not in self.columns or self.columns[name].type is not ColumnType.TIMESTAMP
            ):
                raise ValueError(f"{key}: {name!r} is not a timestamp column of the source")
        return self

    @model_validator(mode="after")
    def _checked_are_columns(self) -> "SourceDefinition":
        stand_ins = {column.otherwise for column in self.columns.values() if column.otherwise is not None}
        unknown = sorted((self.checks.named | stand_ins) - self.columns.keys())
        if unknown:
            raise ValueError(f"checks and stand-ins name columns that do not exist: {', '.join(unknown)}")
        nullable = [name for name in self.checks.key if self.columns[name].nullable]
        if nullable:
            raise ValueError(f"checks.key: {', '.join(nullable)} may be null and identifies nothing")
        return self

    @property
    def required(self) -> tuple[str, ...]:
        """Canonical columns that need a value in every row."""
        return tuple(name for name, column in self.columns.items() if not column.nullable)

    @property
    def arrival(self) -> str | None:
        """Canonical column that says when a row could first be seen."""
        return self.ingested_at or self.event_at
