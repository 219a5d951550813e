"""Predictions whose truth is in: the columns they are kept under, and why a label is not used."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from include.contracts.moments import UtcDatetime

LABEL_METRIC = "label"
"""Metric under which `/v1/outcomes` takes the truth about a prediction, in the label's own values."""


class Refusal(StrEnum):
    """Why a label or an outcome says nothing about a prediction."""

    UNKNOWN_PREDICTION = "unknown_prediction"
    """It names a prediction that is not in the log."""
    FROM_THE_FUTURE = "from_the_future"
    """It was known before what it speaks about: known before its moment, before its prediction, or recorded
    before it occurred."""
    IMPOSSIBLE_VALUE = "impossible_value"
    """No label of the task has that value."""
    NO_MIDNIGHT = "no_midnight"
    """Labels speak of midnights (UTC); which predictions it means is not said."""


class LabelledDay(BaseModel):
    """What the join made of one day of predictions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: UtcDatetime
    """Midnight the day begins with."""
    inputs: str
    """Hash of what went in: the same again changes nothing."""
    as_of: UtcDatetime
    """Moment of the last run that changed anything."""
    predictions: int = Field(ge=0)
    """Answered predictions of the day."""
    labelled: int = Field(ge=0)
    """Those whose truth is known."""
    superseded: int = Field(ge=0)
    """Rows of labels that say the same again or were corrected since."""
    refused: dict[Refusal, int]
    """Labels set aside, by reason."""
