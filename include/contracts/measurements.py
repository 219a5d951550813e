"""Measurements: what a monitor saw in a window, and what it made of it. No entity values."""

from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from include.contracts.moments import UtcDatetime

_STRICT = ConfigDict(frozen=True, extra="forbid")


class Monitor(StrEnum):
    """What is watched, each by a DAG of its own."""

    FEATURE_DRIFT = "feature_drift"
    PREDICTION_DRIFT = "prediction_drift"
    PERFORMANCE = "performance"
    OBJECTIVES = "objectives"


class Verdict(StrEnum):
    """What a monitor makes of a figure, and of a whole run: the worst of its figures."""

    OK = "ok"
    WARNING = "warning"
    ALARM = "alarm"
    NO_DATA = "no_data"
    """There was nothing to look at; says nothing about drift."""
    TOO_FEW = "too_few"
    """There was something, but not enough to judge."""
    BROKEN = "broken"
    """The monitor itself cannot judge, such as by a reference that no longer fits."""

    @property
    def is_judgement(self) -> bool:
        """Whether the figure was judged at all."""
        return self in _JUDGED


_JUDGED = frozenset({Verdict.OK, Verdict.WARNING, Verdict.ALARM})
_WORST_FIRST = (
    Verdict.BROKEN,
    Verdict.ALARM,
    Verdict.WARNING,
    Verdict.OK,
    Verdict.TOO_FEW,
    Verdict.NO_DATA,
)


class Measurement(BaseModel):
    """One figure over one window."""

    model_config = _STRICT

    model: str
    monitor: Monitor
    version: str | None = None
    """Version that answered; None where the figure is about all of them."""
    variant: str | None = None
    """`champion`, `challenger`, …; None for all."""
    slice: str | None = None
    """Part of the population, `view.column=value`; None for the whole."""
    subject: str
    """What was measured: a feature, `score`, an objective."""
    metric: str
    """How: `ks`, `psi`, `missing_ratio`, `accuracy`, …"""
    window_start: UtcDatetime
    window_end: UtcDatetime
    """Event time of the rows looked at, [start, end)."""
    value: float | None = Field(default=None, allow_inf_nan=False)
    """The figure; None where nothing could be measured."""
    low: float | None = Field(default=None, allow_inf_nan=False)
    high: float | None = Field(default=None, allow_inf_nan=False)
    """Its confidence interval, where it has one."""
    n: int = Field(ge=0)
    """Rows the figure is of."""
    verdict: Verdict
    reason: str
    """Why, as the value of the monitor's own enum."""
    details: dict[str, Any] = Field(default_factory=dict)
    """Further figures, plain JSON."""

    @model_validator(mode="after")
    def _is_a_window(self) -> Self:
        if self.window_end <= self.window_start:
            raise ValueError(f"the window ends at {self.window_end}, not after {self.window_start}")
        return self


class MonitorRun(BaseModel):
    """One look of a monitor."""

    model_config = _STRICT

    model: str
    monitor: Monitor
    as_of: UtcDatetime
    """Moment it looked from; with model and monitor, what names the run."""
    recorded_at: UtcDatetime
    """Wall time at which it was stored."""
    verdict: Verdict
    summary: str
    """One line for people."""
    report_uri: str | None = None
    """Where its report for people lies in the artefact store."""


def worst(verdicts: tuple[Verdict, ...]) -> Verdict:
    """Return the verdict of a run from those of its figures; of none, that there was no data."""
    return min(verdicts, key=_WORST_FIRST.index, default=Verdict.NO_DATA)
