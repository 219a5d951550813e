"""What a validation found: the verdict on a batch, with the figures behind it."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from include.contracts.errors import DataError


@dataclass(frozen=True)
class Batch:
    """The rows a run is about to use.

    Attributes:
        first: first day whose features are computed.
        last: last of them.
        as_of: only rows that had arrived by then are seen.
    """

    first: date
    last: date
    as_of: datetime

    @property
    def name(self) -> str:
        """Name of the batch, the same for a run and its retry."""
        return f"{self.first}_{self.last}_{self.as_of.astimezone(UTC):%Y%m%dT%H%M%SZ}"

    def since(self, before: timedelta) -> datetime:
        """Return the moment that long before the first day begins."""
        return datetime.combine(self.first, time(), UTC) - before


@dataclass(frozen=True)
class Failure:
    """One expectation that was not met."""

    expectation: str
    column: str | None
    observed: object
    """The value that was found, or the part of the rows that broke it."""
    details: dict[str, Any]
    """Parameters of the expectation."""

    def __str__(self) -> str:
        """Return `expect_column_values_to_not_be_null(amount): 0.33`."""
        return f"{self.expectation}({self.column or 'table'}): {self.observed}"


@dataclass(frozen=True)
class Verdict:
    """What a suite said about a batch of a source or a view."""

    subject: str
    """`source:<name>` or `view:<name>`."""
    failures: tuple[Failure, ...]
    evaluated: int
    """Expectations that were evaluated."""
    results: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    """Great Expectations' own result of each suite, as JSON."""

    @property
    def passed(self) -> bool:
        """Whether every expectation was met."""
        return not self.failures

    def __add__(self, other: "Verdict") -> "Verdict":
        """Return what two suites said about one subject."""
        return Verdict(
            self.subject,
            self.failures + other.failures,
            self.evaluated + other.evaluated,
            self.results + other.results,
        )

    def check(self, kept: str) -> None:
        """Stop if an expectation was not met.

        Raises:
            DataError: names each of them, and where the batch is kept.
        """
        if self.failures:
            found = "; ".join(str(failure) for failure in self.failures)
            raise DataError(f"{self.subject} is not fit for use: {found}; the batch is kept at {kept}")
