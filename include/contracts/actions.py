"""What people ask for on the operators' pages; a DAG's run does it."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Action(StrEnum):
    """What is asked for."""

    ROLL_BACK = "roll_back"
    RETRAIN = "retrain"
    PAUSE_RAMP = "pause_ramp"
    RESUME_RAMP = "resume_ramp"
    START_EXPERIMENT = "start_experiment"
    ADVANCE_EXPERIMENT = "advance_experiment"
    STOP_EXPERIMENT = "stop_experiment"


class AskedAction(BaseModel):
    """One wish, written down before anything is done about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Action
    model: str
    dag_id: str
    run_id: str
    """The run that does it."""
    conf: dict[str, Any]
    """What the run is given."""
    reason: str = Field(min_length=1, max_length=2_000)
    """Why, in the person's words."""
