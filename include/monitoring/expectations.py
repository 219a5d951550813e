"""What unlabelled days are expected to bring, and how such expectations did before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from include.adapters.labelled_store import LabelledStore
from include.config.settings import Settings
from include.contracts.measurements import Measurement
from include.contracts.model import Metric, ModelContract
from include.contracts.signatures import Task
from include.monitoring.figures import FEWEST_UNITS, rows_of, usable
from include.monitoring.history import ONE_DAY, SCORE, Days, Past
from include.monitoring.label_days import answered_predictions
from include.stats.expected_performance import (
    LAST_SCORED,
    Calibrator,
    Scored,
    Trust,
    expected_metric,
    fitted_calibrator,
    trust,
)
from include.stats.intervals import Estimate

LEARNT_FROM = timedelta(days=30)
"""Labelled days before the newest that the calibration is fitted to."""
_UNEXPECTED = frozenset({Metric.EXPECTED_CALIBRATION_ERROR})
"""Calibrated chances say of their own calibration only that it is perfect."""


@dataclass(frozen=True)
class Expectation:
    """A metric of an unlabelled day; no estimate where there are too few predictions."""

    start: datetime
    metric: Metric
    rows: int
    estimate: Estimate | None


@dataclass(frozen=True)
class Record:
    """How expectations of a metric did against what came true."""

    metric: Metric
    trust: Trust
    scored: tuple[Scored, ...]
    """Oldest first."""


def expected_name(metric: Metric) -> str:
    """Return the metric an expectation is stored under."""
    return f"expected_{metric.value}"


def expectable(contract: ModelContract, metrics: Sequence[Metric]) -> list[Metric]:
    """Return the metrics that can be expected: of a binary model, from its chances."""
    return [each for each in metrics if contract.task is Task.BINARY and each not in _UNEXPECTED]


def learnt_calibrator(
    settings: Settings, contract: ModelContract, labelled_until: datetime, as_of: datetime
) -> Calibrator:
    """Return the calibration that production's last labelled days ask for."""
    columns = ("prediction_id", "unit", "outputs", "value")
    store = LabelledStore(settings, contract.name)
    table = usable(
        contract.signature, store.read(labelled_until - LEARNT_FROM, labelled_until, as_of, columns)
    ).sort_by("prediction_id")
    rows = rows_of(contract.signature, table)
    if len(np.unique(rows.units)) < FEWEST_UNITS:
        return Calibrator()
    return fitted_calibrator(rows.labels, rows.scores)


def expectations(
    settings: Settings,
    contract: ModelContract,
    metrics: Sequence[Metric],
    day: datetime,
    calibrate: Calibrator,
) -> list[Expectation]:
    """Return what a day without labels is expected to bring."""
    table = usable(contract.signature, answered_predictions(settings, contract.name, day, day + ONE_DAY))
    # Labels are what is not there yet; `rows_of` wants the column.
    rows = rows_of(contract.signature, table.append_column("value", [np.zeros(len(table))]))
    if len(np.unique(rows.units)) < FEWEST_UNITS:
        return [Expectation(day, metric, len(table), None) for metric in metrics]
    chances = calibrate(rows.scores)
    found = []
    for metric in metrics:
        try:
            estimate = expected_metric(metric, rows.scores, chances, rows.units)
        except ValueError:  # such as a precision where nothing is predicted positive
            estimate = None
        found.append(Expectation(day, metric, len(table), estimate))
    return found


def stored_expectations(
    past: Past, metric: Metric, start: datetime, end: datetime
) -> dict[datetime, Measurement]:
    """Return what was expected of the days in [start, end), as it was first said."""
    found: dict[datetime, Measurement] = {}
    for each in past.measured(expected_name(metric), SCORE, start, end):
        found.setdefault(each.window_start, each)
    return found


def record_of(metric: Metric, expected: dict[datetime, Measurement], days: Days) -> Record:
    """Hold what was expected against what came true."""
    realised = days.by_key.get((None, metric), {})
    scored = tuple(
        Scored(said.value, said.low, said.high, realised[day].estimate.value)
        for day, said in sorted(expected.items())
        if day in realised and said.value is not None and said.low is not None and said.high is not None
    )
    return Record(metric, trust(list(scored)), scored[-LAST_SCORED:])
