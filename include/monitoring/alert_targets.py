"""Where a model's alerts go: what its contract says about the monitor that raised them."""

from functools import cache

from include.config.models import model_folders
from include.config.settings import Settings
from include.contracts.alerts import AlertContent, AlertKind, Severity
from include.contracts.bulletins import Target
from include.contracts.errors import ContractError
from include.contracts.monitoring import AlertRoutes, Monitoring
from include.monitoring.alert_bulletins import Targets


def contract_targets(settings: Settings) -> Targets:
    """Return what finds an alert's target; of a model without a readable contract, the routes' own."""
    folders = model_folders(settings.model_folders)

    @cache
    def monitoring(model: str) -> Monitoring:
        try:
            return folders[model].written.monitoring if model in folders else Monitoring()
        except ContractError:
            return Monitoring()

    def target(content: AlertContent) -> Target:
        return Target() if content.model is None else target_of(monitoring(content.model), content.kind)

    return target


def target_of(monitoring: Monitoring, kind: AlertKind) -> Target:
    """Return where a kind of alert goes: as its monitor's `alerts` say; else the model's other channel."""
    parts = {
        AlertKind.FEATURE_DRIFT: monitoring.feature_drift and monitoring.feature_drift.alerts,
        AlertKind.PREDICTION_DRIFT: monitoring.prediction_drift and monitoring.prediction_drift.alerts,
        AlertKind.PERFORMANCE: monitoring.performance_monitoring and monitoring.performance_monitoring.alerts,
    }
    own = parts.get(kind) or AlertRoutes()
    channels = [own.slack_channel, *(part.slack_channel for part in parts.values() if part)]
    return Target(
        next((channel for channel in channels if channel), None),
        Severity(own.pagerduty_severity) if own.pagerduty_severity else None,
    )
