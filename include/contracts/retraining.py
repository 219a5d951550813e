"""Retrain requests: why a model should be trained again, and which run took it on."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from include.contracts.moments import UtcDatetime


class RetrainReason(StrEnum):
    """Why a new training is asked for."""

    DATA = "data"
    CODE = "code"
    DRIFT = "drift"
    PERFORMANCE = "performance"
    MANUAL = "manual"


class RetrainRequest(BaseModel):
    """One request; open until a training run claims it, over when that run ends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request_id: str
    model: str
    reason: RetrainReason
    as_of: UtcDatetime
    """Event time the training is to look back from."""
    requested_by: str
    requested_at: UtcDatetime
    claimed_by: str | None = None
    """Id of the run that claimed it."""
    claimed_at: UtcDatetime | None = None
    ended_at: UtcDatetime | None = None
    outcome: str | None = None
