"""Ramps: the plan by which a version comes to all traffic, where one stands, and what was decided."""

from datetime import timedelta
from enum import StrEnum
from itertools import pairwise

from pydantic import BaseModel, ConfigDict, Field, model_validator

from include.contracts.guardrails import DEFAULT_GUARDRAILS, Guardrail, GuardrailResult
from include.contracts.moments import Duration, UtcDatetime

_STRICT = ConfigDict(frozen=True, extra="forbid")

SHADOW_PLACE = -1
"""Place of the shadow stage: before the first share."""


class RampStage(BaseModel):
    """One step of a ramp."""

    model_config = _STRICT

    share: float = Field(gt=0.0, le=1.0)
    """Share of units on the new version."""
    hold: Duration
    """Least time at this share."""
    minimum_requests: int = Field(default=0, ge=0)
    """Fewest requests on the new version before the stage is judged; 0 derives them from the guardrails."""


class ShadowStage(BaseModel):
    """Requests mirrored to the new version before it answers any."""

    model_config = _STRICT

    share: float = Field(default=1.0, gt=0.0, le=1.0)
    """Share of units whose requests are mirrored."""
    hold: Duration
    """Least time."""
    minimum_requests: int = Field(default=0, ge=0)
    """Fewest mirrored requests before the stage is judged."""


class LabelBound(BaseModel):
    """A bound on a metric that needs labels: it judges the bake, by what performance monitoring measured."""

    model_config = _STRICT

    metric: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Name of the metric, as `monitoring.performance_monitoring` has it."""
    minimum: float | None = Field(default=None, allow_inf_nan=False)
    """Smallest value that passes."""
    maximum: float | None = Field(default=None, allow_inf_nan=False)
    """Largest value that passes."""

    @model_validator(mode="after")
    def _one_bound(self) -> "LabelBound":
        if (self.minimum is None) == (self.maximum is None):
            raise ValueError(f"{self.metric!r} needs exactly one of 'minimum' and 'maximum'")
        return self


class RolloutPlan(BaseModel):
    """Stages of a ramp and the bake after it."""

    model_config = _STRICT

    stages: tuple[RampStage, ...] = Field(min_length=1)
    """Steps of the ramp; shares rise and end at 1.0."""
    bake: Duration
    """How long the new champion is watched, its predecessor warm."""
    shadow: ShadowStage | None = None
    """Mirrored requests before the first share; none: it begins with that share."""
    guardrails: tuple[Guardrail, ...] = DEFAULT_GUARDRAILS
    """What must not get worse with the new version, at each share and in the bake."""
    labels: tuple[LabelBound, ...] = ()
    """What labels must show before the bake is over."""
    alpha: float = Field(default=0.01, gt=0, lt=0.5)
    """Chance that a ramp is rolled back though the new version does no harm: all guardrails and stages."""
    patience: Duration = timedelta(days=1)
    """How long past its hold a stage waits for its requests before a person is asked."""

    @model_validator(mode="after")
    def _ramp_rises_to_one(self) -> "RolloutPlan":
        shares = [stage.share for stage in self.stages]
        if any(later <= earlier for earlier, later in pairwise(shares)) or shares[-1] != 1.0:
            raise ValueError(f"shares must rise and end at 1.0; these are {shares}")
        return self

    @property
    def full_place(self) -> int:
        """Place of the step at which the new version has all traffic."""
        return len(self.stages) - 1

    @property
    def bake_place(self) -> int:
        """Place of the bake, the last one."""
        return len(self.stages)

    @property
    def first_place(self) -> int:
        """Place a ramp beside a champion begins at."""
        return 0 if self.shadow is None else SHADOW_PLACE

    @property
    def alpha_per_place(self) -> float:
        """Each place's part of `alpha`."""
        return self.alpha / (self.bake_place - self.first_place + 1)

    def share_at(self, place: int) -> float:
        """Return the share of units that the new version answers at a place."""
        return 0.0 if place == SHADOW_PLACE else self.stages[min(place, self.full_place)].share

    def hold_at(self, place: int) -> timedelta:
        """Return the least time at a place."""
        if place == SHADOW_PLACE:
            return self.shadow.hold if self.shadow is not None else timedelta()
        return self.bake if place == self.bake_place else self.stages[place].hold

    def minimum_at(self, place: int) -> int:
        """Return the fewest requests at which a place is judged."""
        if place == SHADOW_PLACE:
            return self.shadow.minimum_requests if self.shadow is not None else 0
        return self.stages[min(place, self.full_place)].minimum_requests

    def name_of(self, place: int) -> str:
        """Return what a place is called: `shadow`, `5 %`, `bake`."""
        if place in {SHADOW_PLACE, self.bake_place}:
            return "shadow" if place == SHADOW_PLACE else "bake"
        return f"{self.stages[place].share * 100:g} %"


class RampVerdict(StrEnum):
    """What is to be done about a ramp."""

    WAIT = "wait"
    PROMOTE = "promote"
    """On to the next place."""
    HOLD = "hold"
    """Stay, and ask a person."""
    ROLLBACK = "rollback"


class RampReason(StrEnum):
    """Why."""

    NOT_DUE = "not_due"
    PAUSED = "paused"
    ASKED = "asked"
    """A person was asked and has not answered yet."""
    GATHERING = "gathering"
    """The hold is over, and requests are still too few to be judged."""
    NOTHING_TO_JUDGE = "nothing_to_judge"
    """The plan neither holds here nor asks for requests."""
    GUARDRAILS_KEPT = "guardrails_kept"
    GUARDRAIL_BREACHED = "guardrail_breached"
    BREAKER_OPENED = "breaker_opened"
    """The gateway's breaker keeps requests from the new version, and not from the one beside it."""
    TOO_FEW_REQUESTS = "too_few_requests"
    GUARDRAIL_UNDECIDED = "guardrail_undecided"
    FIGURES_MISSING = "figures_missing"
    """The prediction log cannot be read, or a guardrail was not measured."""
    MONITOR_SILENT = "monitor_silent"
    """A monitor is silent or broken: what it would have said is missing."""
    LABELS_MISSED = "labels_missed"
    LABELS_MISSING = "labels_missing"
    EXTENDED_BY_HAND = "extended_by_hand"
    PROMOTED_BY_HAND = "promoted_by_hand"
    ROLLED_BACK_BY_HAND = "rolled_back_by_hand"
    PAUSED_BY_HAND = "paused_by_hand"
    RESUMED_BY_HAND = "resumed_by_hand"
    NOT_ANSWERED = "not_answered"
    """Time ran out on a question: the answer is no."""


class LabelResult(BaseModel):
    """A label metric held against its bound."""

    model_config = _STRICT

    metric: str
    value: float | None
    low: float | None
    high: float | None
    bound: float
    n: int
    verdict: RampVerdict
    """PROMOTE, HOLD or ROLLBACK."""


class RampDecision(BaseModel):
    """What was decided at a place, and the figures it was decided by."""

    model_config = _STRICT

    verdict: RampVerdict
    reason: RampReason
    place: int
    detail: str
    """One line for people."""
    requests: int = 0
    """Requests of the new version it rests on."""
    guardrails: tuple[GuardrailResult, ...] = ()
    labels: tuple[LabelResult, ...] = ()


class Ramp(BaseModel):
    """Where a release stands in its ramp. All moments are wall time."""

    model_config = _STRICT

    place: int
    """Place in the plan's stages; one past the last is the bake."""
    began_at: UtcDatetime
    """When the first place was entered."""
    entered_at: UtcDatetime
    """When this one was: its requests count from here."""
    due_at: UtcDatetime
    """When it may be judged."""
    clock: float = Field(default=1.0, gt=0, le=1)
    """What the plan's times are multiplied by: 1, and less in drills. Never its requests."""
    looks: int = Field(default=0, ge=0)
    """Times this place was judged and nothing was decided."""
    passed: bool = False
    """Whether this place is done with and the next may be entered."""
    held: RampReason | None = None
    """Why a person was asked; None: nobody is."""
    answer_by: UtcDatetime | None = None
    """When an answer that has not come is a no."""
    paused_at: UtcDatetime | None = None
    control_share: float | None = None
    """Share of the last place that had a champion beside the new version, for what comes after it."""
