"""The `monitoring:` block of a contract: the shape teams already write, key by key."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from include.contracts.moments import Duration
from include.contracts.schedules import Schedule

_STRICT = ConfigDict(frozen=True, extra="forbid")


class ContinuousTest(BaseModel):
    """Test of a continuous feature; drift when the p-value falls below the threshold."""

    model_config = _STRICT

    method: Literal["ks_test"] = "ks_test"
    threshold: float = Field(default=0.05, gt=0, lt=1)


class CategoricalTest(BaseModel):
    """Test of a categorical feature; drift when the index exceeds the threshold."""

    model_config = _STRICT

    method: Literal["psi"] = "psi"
    threshold: float = Field(default=0.2, gt=0)


class FeatureTests(BaseModel):
    """Tests by kind of feature."""

    model_config = _STRICT

    continuous_features: ContinuousTest = ContinuousTest()
    categorical_features: CategoricalTest = CategoricalTest()


class AlertRoutes(BaseModel):
    """Where alerts go besides the ledger and the operator's page."""

    model_config = _STRICT

    slack_channel: str | None = None
    pagerduty_severity: Literal["info", "warning", "error", "critical"] | None = None


class FeatureDrift(BaseModel):
    """Production inputs against a reference."""

    model_config = _STRICT

    schedule: Schedule
    reference_dataset: str | None = None
    """URI; none means the champion's own training snapshot."""
    tests: FeatureTests = FeatureTests()
    alerts: AlertRoutes = AlertRoutes()


class PredictionMetric(BaseModel):
    """One watched property of the scores."""

    model_config = _STRICT

    name: Literal["prediction_distribution", "confidence_calibration"]
    method: Literal["chi_squared", "expected_calibration_error"]
    window: Duration | None = None
    threshold: float | None = Field(default=None, gt=0)


class PredictionDrift(BaseModel):
    """The scores' distribution and calibration."""

    model_config = _STRICT

    schedule: Schedule
    metrics: tuple[PredictionMetric, ...] = Field(min_length=1)


class PerformanceMonitoring(BaseModel):
    """Scores against labels once they are known."""

    model_config = _STRICT

    schedule: Schedule
    label_delay: Duration
    metrics: tuple[str, ...] = Field(min_length=1)
    alert_on: str


class AutoRetrain(BaseModel):
    """When to ask for a new training."""

    model_config = _STRICT

    trigger: str
    pipeline: str
    approval: Literal["manual"] = "manual"


class Monitoring(BaseModel):
    """Drift at three levels and the retraining it asks for."""

    model_config = _STRICT

    feature_drift: FeatureDrift | None = None
    prediction_drift: PredictionDrift | None = None
    performance_monitoring: PerformanceMonitoring | None = None
    auto_retrain: AutoRetrain | None = None
