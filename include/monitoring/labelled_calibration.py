"""Whether scores are the chances they claim to be, by the labels that have come in."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from include.adapters.labelled_store import LabelledStore, midnight
from include.config.settings import Settings
from include.contracts.measurements import Measurement, Monitor, Verdict
from include.contracts.model import ModelContract
from include.contracts.monitoring import PredictionMetric
from include.monitoring.findings import alone, row_count, template
from include.monitoring.judgement import DriftReason, Judge
from include.monitoring.score_shifts import CALIBRATION, calibration_shift
from include.stats.calibration_gap import calibration_gap
from include.stats.effective_rows import effective_rows

MINIMUM_ROWS = 300
"""Fewest rows, counted by their units, that fifteen bins say anything with."""
_FALSE_ALARMS = 0.05
"""Chance of a false alarm that a week of looks may have."""
_DAYS_OF_A_WEEK = 7
_COLUMNS = ("unit", "assigned_variant", "served_version", "outputs", "value")


def watch_calibration(
    settings: Settings,
    contract: ModelContract,
    as_of: datetime,
    metric: PredictionMetric,
    *,
    judge: Judge,
    before: Sequence[Measurement],
) -> Iterator[Measurement]:
    """Yield the calibration of each variant over the last days whose labels are known.

    Args:
        settings: says where labelled predictions lie.
        contract: the model's, of a binary one.
        as_of: labels known later are not seen.
        metric: window and threshold.
        judge: of the scores; here with the metric's own floor.
        before: what the run before found.
    """
    start, end = labelled_window(contract, as_of, metric.window)
    known = LabelledStore(settings, contract.name).read(start, end, as_of, _COLUMNS).to_pandas()
    if known.empty:
        of = template(contract.name, Monitor.PREDICTION_DRIFT, None, start, end)
        yield alone(of, Verdict.NO_DATA, DriftReason.NO_LABELS)
        return
    judge = calibration_judge(judge, metric)
    for (variant, version), rows in known.groupby(["assigned_variant", "served_version"]):
        of = template(contract.name, Monitor.PREDICTION_DRIFT, version, start, end, variant=variant)
        yield from _of_variant(rows, of, judge, [each for each in before if each.variant == variant])


def calibration_judge(judge: Judge, metric: PredictionMetric) -> Judge:
    """Return the judge of scores with the floor and the minimum of rows of their calibration."""
    floors = {CALIBRATION: metric.threshold}
    return replace(judge, floors=floors, minimum_rows=max(judge.minimum_rows, MINIMUM_ROWS))


def calibration_confidence(judge: Judge) -> float:
    """Return the confidence of one look's limits: labels move by whole days, however often one looks."""
    return 1 - _FALSE_ALARMS / min(judge.looks_per_week, _DAYS_OF_A_WEEK)


def labelled_window(contract: ModelContract, as_of: datetime, window: timedelta) -> tuple[datetime, datetime]:
    """Return the last whole days, of a window's length, whose labels are known by a moment."""
    performance = contract.monitoring.performance_monitoring
    delay = max(contract.label.delay, performance.label_delay if performance else timedelta())
    # A prediction of a day has the label of that day's midnight; the last of them is known a day later.
    end = midnight((as_of - delay).date())
    return end - max(timedelta(days=1), timedelta(days=window.days)), end


def _of_variant(
    rows: pd.DataFrame, of: Measurement, judge: Judge, before: Sequence[Measurement]
) -> tuple[Measurement, ...]:
    independent = effective_rows(rows["unit"].value_counts())
    gap = calibration_gap(
        rows["value"].to_numpy(np.float64),
        np.array([outputs[0] for outputs in rows["outputs"]]),
        independent=independent,
        confidence=calibration_confidence(judge),
    )
    count = row_count(of, len(rows), independent, judge.minimum_rows)
    named = count.model_copy(update={"metric": "labelled_rows"})
    return (named, *judge([calibration_shift(gap, len(rows), independent)], of, before))
