"""The `checks:` block of a source or a view: what its rows must be like."""

from datetime import timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from include.contracts.moments import Duration

_STRICT = ConfigDict(frozen=True, extra="forbid")


class ColumnCheck(BaseModel):
    """What the values of one column must be like."""

    model_config = _STRICT

    minimum: float | None = None
    """Smallest value, included."""
    maximum: float | None = None
    """Largest value, included."""
    values: tuple[str, ...] | None = None
    """The only values there may be."""
    null_ratio: float = Field(default=1.0, ge=0, le=1)
    """Largest part of the rows that may lack a value; a source's column that is not nullable needs none."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.minimum is not None and self.maximum is not None and self.maximum < self.minimum:
            raise ValueError(f"maximum {self.maximum} lies below minimum {self.minimum}")
        return self


class Reference(BaseModel):
    """A column whose values must be found in a column of a source."""

    model_config = _STRICT

    source: str
    column: str
    tolerance: float = Field(default=0.0, ge=0, lt=1)
    """Largest part of the rows that may refer to nothing."""


class RowCount(BaseModel):
    """Rows of a day against the mean of the days before it."""

    model_config = _STRICT

    trailing: Duration = timedelta(days=28)
    """Days before a day that its mean is taken over; fewer than a quarter of them judge nothing."""
    minimum_ratio: float = Field(default=0.25, ge=0)
    maximum_ratio: float = Field(default=2.5, gt=0)


class Checks(BaseModel):
    """Every check of a source or a view; what is left out is not checked."""

    model_config = _STRICT

    key: tuple[str, ...] = ()
    """Columns that identify a source's row; of rows with the same key only the first to arrive counts."""
    columns: dict[str, ColumnCheck] = Field(default_factory=dict)
    references: dict[str, Reference] = Field(default_factory=dict)
    """By column."""
    fresh_within: Duration | None = None
    """Longest time between a source's last row and the moment looked from."""
    rows: RowCount | None = None
    defect_ratio: float = Field(default=0.01, ge=0, lt=1)
    """Largest part of a source's rows that may be set aside one by one; beyond it the run stops."""
    repeated_ratio: float = Field(default=0.5, ge=0, lt=1)
    """Largest part of a source's rows that may repeat a key; a file sent twice changes nothing."""
    lookback: Duration = timedelta(days=35)
    """How far before a run's first day a source's rows are checked: as far as its features look."""

    @property
    def named(self) -> frozenset[str]:
        """Columns the checks speak about."""
        return frozenset((*self.key, *self.columns, *self.references))
