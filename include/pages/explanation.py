"""A score taken apart, as a page shows it."""

from pydantic import BaseModel

from include.contracts.predictions import FeatureValue
from include.pages.airflow_facts import STRICT


class Reason(BaseModel):
    """What one input did to a score."""

    model_config = STRICT

    feature: str
    value: FeatureValue
    contribution: float
    error: float


class Explained(BaseModel):
    """A score taken apart."""

    model_config = STRICT

    method: str
    score: float
    base: float
    adds_up: bool
    reasons: tuple[Reason, ...]
    rest: float
    """Of all other inputs together."""


class Unexplained(BaseModel):
    """Why a score cannot be taken apart."""

    model_config = STRICT

    problem: str
