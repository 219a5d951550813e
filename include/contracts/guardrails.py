"""Guardrails: a metric, the harm to it that is still accepted, and what the data say about it."""

from datetime import timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from include.contracts.moments import Duration

_STRICT = ConfigDict(frozen=True, extra="forbid")


class RequestMetric(StrEnum):
    """Metrics every model has: they come from the prediction log, and mature as the request is answered."""

    ERROR_RATIO = "error_ratio"
    """Share of the requests that the assigned version did not answer, whoever answered instead."""
    FALLBACK_RATIO = "fallback_ratio"
    """Share of the requests that a fallback answered, for whatever reason."""
    LATENCY_P99 = "latency_p99_seconds"
    """Seconds within which 99 of 100 requests were answered."""


class Harm(StrEnum):
    """The direction in which a guardrail metric gets worse."""

    INCREASE = "increase"
    DECREASE = "decrease"


class Guardrail(BaseModel):
    """A metric that must not get worse by more than a margin."""

    model_config = _STRICT

    metric: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """`error_ratio`, `fallback_ratio`, `latency_p99_seconds`, or one of the contract's own metrics."""
    margin: float = Field(gt=0, allow_inf_nan=False)
    """Harm that is still accepted, in the metric's unit: 0.005 is half a request of a hundred."""
    baseline: float | None = Field(default=None, gt=0, lt=1)
    """What a ratio is expected to be without the change; sample sizes are derived from it."""
    harmful: Harm = Harm.INCREASE
    """The direction that is worse."""
    matures_in: Duration = timedelta()
    """Time after a request until its value is final."""


class GuardrailVerdict(StrEnum):
    """What the data say about a margin."""

    NON_INFERIOR = "non_inferior"
    """Harm as large as the margin is ruled out."""
    INFERIOR = "inferior"
    """More harm than is accepted is shown."""
    INCONCLUSIVE = "inconclusive"
    """Neither: more data are needed. It never counts as a pass."""


class GuardrailReason(StrEnum):
    """Why the verdict is what it is."""

    HARM_RULED_OUT = "harm_ruled_out"
    HARM_SHOWN = "harm_shown"
    UNDECIDED = "undecided"
    """Neither is shown by what came so far."""
    TOO_FEW_REQUESTS = "too_few_requests"
    """The metric cannot be estimated from so few."""
    NO_CONTROL = "no_control"
    """Nothing to compare with."""
    NO_FIGURES = "no_figures"
    """Nothing was measured, or what measures it is silent."""
    NOT_MATURED = "not_matured"


class GuardrailResult(BaseModel):
    """A guardrail's verdict with the figures behind it; plain JSON, for ledger, alert and page alike."""

    model_config = _STRICT

    metric: str
    verdict: GuardrailVerdict
    reason: GuardrailReason
    margin: float
    control: float | None = None
    """The metric without the change."""
    treatment: float | None = None
    """The metric with it."""
    harm_low: float | None = None
    """Lower limit of the harm; positive is worse."""
    harm: float | None = None
    harm_high: float | None = None
    """Upper limit of the harm: below the margin, more is ruled out."""
    p_value: float | None = None
    """Of the hypothesis that there is no harm, adjusted for the guardrails judged together."""
    alpha: float | None = None
    """What `p_value` was held against."""
    control_requests: int = Field(default=0, ge=0)
    treatment_requests: int = Field(default=0, ge=0)


DEFAULT_GUARDRAILS: tuple[Guardrail, ...] = (
    Guardrail(metric=RequestMetric.ERROR_RATIO, margin=0.005, baseline=0.01),
    Guardrail(metric=RequestMetric.FALLBACK_RATIO, margin=0.005, baseline=0.01),
    Guardrail(metric=RequestMetric.LATENCY_P99, margin=0.05),
)
"""What a ramp is watched by unless its plan says otherwise."""
