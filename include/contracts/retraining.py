"""Retrain requests: why a model should be trained again, and which run took it on."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from include.contracts.moments import UtcDatetime


class RetrainReason(StrEnum):
    """Why a new training is asked for."""

    DATA = "data"
    CODE = "code"
    DRIFT = "drift"
    PERFORMANCE = "performance"
    MANUAL = "manual"


class RetrainRequest(BaseModel):
    """One request: it waits until a run claims it, and is over once that run reached a verdict.

    Where the run reached none it waits again, unless a person made it for that run alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    request_id: str
    model: str
    reason: RetrainReason
    as_of: UtcDatetime
    """Event time the training is to look back from."""
    requested_by: str
    requested_at: UtcDatetime
    why: str | None = None
    """What speaks for it, in one line for people."""
    figures: dict[str, Any] = Field(default_factory=dict)
    """The figures behind it, plain JSON."""
    claimed_by: str | None = None
    """Id of the run that claimed it."""
    claimed_at: UtcDatetime | None = None
    ended_at: UtcDatetime | None = None
    outcome: str | None = None
    """How it ended; of one that waits again, what became of the last run."""


class Training(BaseModel):
    """A training that reached a verdict: what it was made from, so that the next one knows what is new."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    run_id: str
    """Claimant of the retrain requests, `<dag>:<run>`."""
    as_of: UtcDatetime
    labelled_until: UtcDatetime
    """Event time of the newest label it learned from or was judged by."""
    fingerprint: str
    """Of the code that trained it."""
    hyperparameters: dict[str, float | int | str | bool] = Field(default_factory=dict)
    """Those that replaced the contract's."""
    seed: int | None = None
    """The one that replaced the contract's."""
    candidate_uri: str
    version: str | None
    """None where a gate was missed."""
