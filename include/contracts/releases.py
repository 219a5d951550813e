"""Releases: one version on its way to all traffic, and the plan it copied when it opened."""

from collections.abc import Collection
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from include.contracts.moments import UtcDatetime
from include.contracts.ramps import Ramp, RolloutPlan


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
    ramp: Ramp | None = None
    """Where it stands in its ramp; None before the first place was entered."""
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
