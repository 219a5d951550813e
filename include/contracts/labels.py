"""Rows of the label store: what training and monitoring both read."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from include.contracts.moments import UtcDatetime

LABEL_COLUMNS = ("model", "unit", "event_at", "known_at", "value", "version", "source")
"""Columns of a label file, in order."""


class LabelRow(BaseModel):
    """The truth about one unit at one moment.

    A later correction is a row with a higher version; the latest version wins.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    unit: str
    event_at: UtcDatetime
    """Moment the label speaks about."""
    known_at: UtcDatetime
    """Moment it could first be known; it is used only as of this moment or later."""
    value: float
    version: int = Field(default=1, ge=1)
    source: str

    @model_validator(mode="after")
    def _known_after_event(self) -> "LabelRow":
        if self.known_at < self.event_at:
            raise ValueError(f"known_at {self.known_at} lies before event_at {self.event_at}")
        return self
