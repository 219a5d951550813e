"""The skew audit's report: served feature values against the same values recomputed offline."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from include.contracts.moments import UtcDatetime
from include.contracts.predictions import FeatureValue

_STRICT = ConfigDict(frozen=True, extra="forbid")


class SkewVerdict(StrEnum):
    """How a served value compares with what should have been served."""

    MATCH = "match"
    DELAYED = "delayed"
    """Right as of an earlier moment since its stamp: materialisation had not caught up yet."""
    NOT_MATERIALISED = "not_materialised"
    """Missing because the row's day had not been brought online before the prediction."""
    CORRECTED = "corrected"
    """Right as of the prediction; the sources have corrected it since."""
    SKEW = "skew"
    """Right at no moment between its stamp and the prediction."""


class SkewExample(BaseModel):
    """One value that was served wrong."""

    model_config = _STRICT

    prediction_id: str
    served: FeatureValue
    expected: FeatureValue


class FeatureSkew(BaseModel):
    """One feature of one model, over the audited predictions."""

    model_config = _STRICT

    model: str
    view: str | None
    """View it is read from; None for one computed at the moment of the request."""
    feature: str
    compared: int
    skewed: int
    delayed: int
    not_materialised: int
    corrected: int
    examples: tuple[SkewExample, ...]
    """The first skewed values, by prediction."""

    @property
    def reference(self) -> str:
        """The feature's name as Feast writes it, `view:feature`; a request-time one's alone."""
        return f"{self.view}:{self.feature}" if self.view else self.feature

    @property
    def mismatch_ratio(self) -> float:
        """Share of the compared values that are skewed."""
        return self.skewed / self.compared if self.compared else 0.0

    @property
    def stale_ratio(self) -> float:
        """Share of the compared values that are explained by delay, absence or correction."""
        stale = self.delayed + self.not_materialised + self.corrected
        return stale / self.compared if self.compared else 0.0


class SkewReport(BaseModel):
    """The audit of one span of predictions."""

    model_config = _STRICT

    schema_version: int = 2
    start: UtcDatetime
    end: UtcDatetime
    """Predictions made in [start, end)."""
    as_of: UtcDatetime
    """Moment of the audit; corrections that arrived before it count as such."""
    logged: int
    """Predictions with enriched features in the log."""
    audited: int
    """Those of them that were recomputed."""
    unresolved: int
    """Sampled ones left out: the version they were made by, or a transform as it was then, is not at hand."""
    threshold: float
    features: tuple[FeatureSkew, ...]

    @property
    def failures(self) -> tuple[FeatureSkew, ...]:
        """The features whose mismatch ratio exceeds the threshold."""
        return tuple(item for item in self.features if item.mismatch_ratio > self.threshold)
