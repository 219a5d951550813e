"""The `monitoring:` block of a contract: the shape teams already write, key by key."""

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from include.contracts.moments import Duration
from include.contracts.rules import Degradation, Trigger
from include.contracts.schedules import Schedule

_STRICT = ConfigDict(frozen=True, extra="forbid")


class ContinuousTest(BaseModel):
    """Test of a continuous feature; drift when the p-value falls below the threshold."""

    model_config = _STRICT

    method: Literal["ks_test"] = "ks_test"
    """Kolmogorov-Smirnov."""
    threshold: float = Field(default=0.05, gt=0, lt=1)
    """p-value below which a feature has drifted; held as the rate of false discoveries over all features and
    a week of looks."""
    minimum_effect: float = Field(default=0.1, ge=0, lt=1)
    """Kolmogorov-Smirnov distance below which no drift counts, however small its p-value is."""


class CategoricalTest(BaseModel):
    """Test of a categorical feature; drift when the index exceeds the threshold."""

    model_config = _STRICT

    method: Literal["psi"] = "psi"
    """Population stability index."""
    threshold: float = Field(default=0.2, gt=0)
    """Index above which a feature has drifted."""


class FeatureTests(BaseModel):
    """Tests by kind of feature."""

    model_config = _STRICT

    continuous_features: ContinuousTest = ContinuousTest()
    """For numbers."""
    categorical_features: CategoricalTest = CategoricalTest()
    """For categories."""


class AlertRoutes(BaseModel):
    """Where alerts go besides the ledger and the operator's page."""

    model_config = _STRICT

    slack_channel: str | None = None
    """Channel alerts are sent to."""
    pagerduty_severity: Literal["info", "warning", "error", "critical"] | None = None
    """Severity of the page."""


class FeatureDrift(BaseModel):
    """Production inputs against a reference."""

    model_config = _STRICT

    schedule: Schedule
    """When it looks: `every 6 hours`, `daily` or cron."""
    reference_dataset: str | None = None
    """URI of Parquet with a column a feature, its prefix mapped by the setting `NINETY_REFERENCE_DATASETS`;
    none means the champion's own training snapshot."""
    window: Duration = timedelta(hours=24)
    """How far back it looks; a whole number of days sees each hour of the day as often."""
    minimum_rows: int = Field(default=200, ge=1)
    """Fewest rows, counted by the units they speak of, that say anything about a distribution."""
    tests: FeatureTests = FeatureTests()
    """How drift is told."""
    alerts: AlertRoutes = AlertRoutes()
    """Who is told."""


class PredictionMetric(BaseModel):
    """One watched property of the scores."""

    model_config = _STRICT

    name: Literal["prediction_distribution", "confidence_calibration"]
    """What is watched."""
    method: Literal["chi_squared", "expected_calibration_error"]
    """How it is measured: chi_squared for the distribution, expected_calibration_error for calibration."""
    window: Duration = timedelta(hours=24)
    """How far back it looks; for calibration, over predictions whose label is known."""
    threshold: float = Field(default=0.05, gt=0, lt=1)
    """chi_squared: p-value below which the scores have drifted, over a week of looks;
    expected_calibration_error: value above which it alerts."""


class PredictionDrift(BaseModel):
    """The scores' distribution and calibration."""

    model_config = _STRICT

    schedule: Schedule
    """When it looks: `every 1 hour`, `daily` or cron."""
    metrics: tuple[PredictionMetric, ...] = Field(min_length=1)
    """What is watched."""
    minimum_rows: int = Field(default=200, ge=1)
    """Fewest rows, counted by the units they speak of, that say anything about the scores."""
    alerts: AlertRoutes = AlertRoutes()
    """Who is told."""


class PerformanceMonitoring(BaseModel):
    """Scores against labels once they are known."""

    model_config = _STRICT

    schedule: Schedule
    """When it looks: `daily` or cron."""
    label_delay: Duration
    """Shortest wait for a label after the prediction; where the label's own delay is longer, that."""
    metrics: tuple[str, ...] = Field(min_length=1)
    """Metrics of the task; `auc_roc` is `roc_auc`."""
    alert_on: Degradation
    """When it alerts, such as `10% degradation vs trailing 30-day average`."""
    alerts: AlertRoutes = AlertRoutes()
    """Who is told."""


class AutoRetrain(BaseModel):
    """When to ask for a new training."""

    model_config = _STRICT

    trigger: Trigger
    """When a training is asked for, such as `performance degradation > 15% for 3 consecutive days`."""
    pipeline: str | None = None
    """The team's own name for the training, mapped by the setting `NINETY_PIPELINES`; none means
    `<model>_train`."""
    approval: Literal["manual"] = "manual"
    """A person says yes before the new version serves."""


class Monitoring(BaseModel):
    """Drift at three levels and the retraining it asks for."""

    model_config = _STRICT

    feature_drift: FeatureDrift | None = None
    """Inputs."""
    prediction_drift: PredictionDrift | None = None
    """Scores."""
    performance_monitoring: PerformanceMonitoring | None = None
    """Scores against the truth."""
    auto_retrain: AutoRetrain | None = None
    """What asks for a new training."""
