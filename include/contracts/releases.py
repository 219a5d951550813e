"""Releases: one version on its way to all traffic, and the plan it copied when it opened."""

from collections.abc import Collection
from enum import StrEnum
from itertools import pairwise

from pydantic import BaseModel, ConfigDict, Field, model_validator

from include.contracts.moments import Duration, UtcDatetime


class ReleaseStage(StrEnum):
    """Where a release stands; the last five end it."""

    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    LOADED = "loaded"
    RAMPING = "ramping"
    BAKING = "baking"
    PROMOTED = "promoted"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"
    ABANDONED = "abandoned"
    OUTDATED = "outdated"
    """The champion it was compared with gave way before the answer: it is evaluated and asked anew."""

    @property
    def is_terminal(self) -> bool:
        """Whether the release is over and its lease given back."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        ReleaseStage.PROMOTED,
        ReleaseStage.REJECTED,
        ReleaseStage.ROLLED_BACK,
        ReleaseStage.ABANDONED,
        ReleaseStage.OUTDATED,
    }
)


class RampStage(BaseModel):
    """One step of a ramp."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(gt=0.0, le=1.0)
    """Share of units on the new version."""
    hold: Duration
    """Least time at this share."""
    minimum_requests: int = Field(default=0, ge=0)
    """Fewest requests on the new version before the stage is judged."""


class RolloutPlan(BaseModel):
    """Stages of a ramp and the bake after it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stages: tuple[RampStage, ...] = Field(min_length=1)
    """Steps of the ramp; shares rise and end at 1.0."""
    bake: Duration
    """How long the new champion is watched, its predecessor warm."""

    @model_validator(mode="after")
    def _ramp_rises_to_one(self) -> "RolloutPlan":
        shares = [stage.share for stage in self.stages]
        if any(later <= earlier for earlier, later in pairwise(shares)) or shares[-1] != 1.0:
            raise ValueError(f"shares must rise and end at 1.0; these are {shares}")
        return self


class Release(BaseModel):
    """State of a release. `revision` counts its changes and is what compare-and-set compares."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    release_id: str
    model: str
    version: str
    champion_version: str | None
    artefact_sha256: str
    evaluation_uri: str | None = None
    """The report that is shown, where it was made anew against this champion; None: the package's own."""
    contract_sha256: str
    plan: RolloutPlan
    thresholds: dict[str, float]
    approvers: tuple[str, ...] = ()
    """Who may say yes, the requesters and the trigger-er already taken out."""
    quorum: int = Field(default=1, ge=1)
    """How many of them must."""
    stage: ReleaseStage
    share: float = Field(default=0.0, ge=0.0, le=1.0)
    requested_by: str
    """All who asked for the version's training, as `joined_requesters` writes them."""
    triggered_by: str
    revision: int = Field(ge=1)
    opened_at: UtcDatetime
    ended_at: UtcDatetime | None = None


class Decision(StrEnum):
    """A human's answer."""

    APPROVED = "approved"
    REJECTED = "rejected"


class Approval(BaseModel):
    """Who answered, when, and to exactly what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    release_id: str
    model: str
    version: str
    artefact_sha256: str
    decision: Decision
    decided_by: str | None
    """None when time ran out: then the decision is no."""
    decided_at: UtcDatetime
    evidence_sha256: str
    """Hash of the text that was shown."""
    reason: str | None = None


def is_granted(quorum: int, answers: Collection[Approval]) -> bool:
    """Say whether a release's answers let it go on: as many yeses as it needs, and no no."""
    decisions = [answer.decision for answer in answers]
    return Decision.REJECTED not in decisions and len(decisions) >= quorum
