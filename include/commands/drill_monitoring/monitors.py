"""The monitors of a model as the drill runs them: what their DAGs do, at their schedules."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime

from include.adapters.ledger.ledger import Ledger
from include.adapters.measurements import MeasurementStore
from include.commands.drill_monitoring.world import Look
from include.config.settings import Settings
from include.contracts.measurements import Monitor
from include.contracts.model import ModelContract
from include.monitoring.drift_alerts import announce_run
from include.monitoring.feature_drift import watch_features
from include.monitoring.label_days import join_days
from include.monitoring.objectives import watch_objectives
from include.monitoring.performance_run import alert, ask_for_training, measure_performance
from include.monitoring.prediction_drift import watch_predictions

OBJECTIVES_EVERY = "every 6 hours"
"""In production every five minutes; each look counts what lies between."""


def monitors_of(contract: ModelContract) -> dict[str, tuple[str, Look]]:
    """Return every monitor a contract asks for, by name: its schedule, and how it looks."""
    return dict(_monitors(contract))


def _monitors(contract: ModelContract) -> Iterator[tuple[str, tuple[str, Look]]]:
    monitoring = contract.monitoring
    if monitoring.feature_drift is not None:
        yield Monitor.FEATURE_DRIFT.value, (monitoring.feature_drift.schedule, look_at_features)
    if monitoring.prediction_drift is not None:
        yield Monitor.PREDICTION_DRIFT.value, (monitoring.prediction_drift.schedule, look_at_predictions)
    if monitoring.performance_monitoring is not None:
        yield Monitor.PERFORMANCE.value, (monitoring.performance_monitoring.schedule, look_at_performance)
    yield Monitor.OBJECTIVES.value, (OBJECTIVES_EVERY, look_at_objectives)


def look_at_features(settings: Settings, contract: ModelContract, as_of: datetime) -> None:
    """Look at the inputs."""
    watch_features(settings, contract, as_of, as_of)
    announce_run(settings, contract.name, Monitor.FEATURE_DRIFT, as_of)


def look_at_predictions(settings: Settings, contract: ModelContract, as_of: datetime) -> None:
    """Look at the scores."""
    watch_predictions(settings, contract, as_of, as_of)
    announce_run(settings, contract.name, Monitor.PREDICTION_DRIFT, as_of)


def look_at_performance(settings: Settings, contract: ModelContract, as_of: datetime) -> None:
    """Look at what became of the predictions, and ask for a training where the trigger says so."""
    join_days(settings, contract, as_of)
    measure_performance(settings, contract, as_of)
    alert(settings, contract, as_of)
    ask_for_training(settings, contract, as_of)


def look_at_objectives(settings: Settings, contract: ModelContract, as_of: datetime) -> None:
    """Look at what was answered, and how fast."""
    with (
        closing(Ledger(settings.ledger_uri)) as ledger,
        closing(MeasurementStore(settings.ledger_uri)) as store,
    ):
        watch_objectives(settings, ledger, store, contract, as_of=as_of, recorded_at=as_of)
