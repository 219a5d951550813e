"""What the detectors of drift find and what they cry for nothing, at default settings, by simulation."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow

from include.commands.benchmark_record import Figure
from include.contracts.measurements import Measurement, Monitor, Verdict
from include.contracts.monitoring import FeatureDrift, PredictionDrift
from include.contracts.signatures import FeatureInput, FeatureKind, Signature, Task
from include.monitoring.feature_drift import judge_of
from include.monitoring.findings import template
from include.monitoring.judgement import Judge
from include.monitoring.labelled_calibration import calibration_confidence, calibration_judge
from include.monitoring.prediction_drift import score_judge
from include.monitoring.samples import Sample, sample
from include.monitoring.score_shifts import calibration_shift, score_shifts
from include.monitoring.scores import score_edges, score_profile
from include.monitoring.shifts import KS, input_shifts
from include.stats.calibration_gap import calibration_gap

Array = npt.NDArray[np.float64]

WEEKS = 200
POWER_RUNS = 200
INPUT_WEEKS, INPUT_RUNS = 100, 50
"""Of twenty inputs at once, which take longer."""
REFERENCE_ROWS = 10_000
WINDOW_ROWS = (300, 1_000, 5_000)
INPUTS, WORDS = 18, 2
CATEGORIES = 12
SHIFTS = (0.1, 0.2, 0.3, 0.5, 1.0)
"""Of one input's mean, in standard deviations."""
OFFSETS = (0.05, 0.1, 0.15, 0.2)
"""By which every score is too high."""
SIGNATURE = Signature(
    task=Task.BINARY,
    inputs=(
        *(FeatureInput(name=f"n{i}", kind=FeatureKind.NUMERIC, view="v") for i in range(INPUTS)),
        *(FeatureInput(name=f"c{i}", kind=FeatureKind.CATEGORICAL, view="v") for i in range(WORDS)),
    ),
)
_DRIFT = FeatureDrift(schedule="every 6 hours")
_SCORES = PredictionDrift.model_validate(
    {
        "schedule": "every 1 hour",
        "metrics": [
            {"name": "prediction_distribution", "method": "chi_squared"},
            {"name": "confidence_calibration", "method": "expected_calibration_error", "threshold": 0.05},
        ],
    }
)
_NOW = datetime(2017, 11, 1, tzinfo=UTC)
_TOLD = frozenset({Verdict.WARNING, Verdict.ALARM})


def measure_detection() -> Mapping[str, Figure]:
    """Return the share of healthy weeks with any alert, and of shifted windows that are found at one look."""
    found: dict[str, Figure] = {"detection_weeks_simulated": WEEKS, "detection_windows_simulated": POWER_RUNS}
    found |= {"detection_weeks_of_inputs_simulated": INPUT_WEEKS}
    for rows in WINDOW_ROWS:
        found |= _inputs(np.random.default_rng(rows), rows)
        found |= _predictions(np.random.default_rng(rows), rows)
        found |= _calibration(np.random.default_rng(rows), rows)
    return found


def _inputs(dice: np.random.Generator, rows: int) -> dict[str, Figure]:
    reference = sample(_table(dice, REFERENCE_ROWS))
    judge = judge_of(_DRIFT, {})
    looks, told, naive = 28, 0, 0
    for _ in range(INPUT_WEEKS):
        # A window is a day, a look every six hours: each shares three quarters of its rows with the next.
        week = _table(dice, rows * 7 + rows)
        found = [_look(judge, reference, sample(_slice(week, look, looks, rows))) for look in range(looks)]
        told += any(each.verdict in _TOLD for measured in found for each in measured)
        naive += sum(_naive(measured) for measured in found)
    name = f"of_{rows}_rows"
    figures: dict[str, Figure] = {
        f"feature_drift_weeks_with_a_false_alarm_ratio_{name}": told / (INPUT_WEEKS),
        f"feature_drift_looks_with_a_false_alarm_ratio_raw_p_value_{name}": naive / (INPUT_WEEKS * looks),
    }
    for shift in SHIFTS:
        hits = sum(
            _is_told(_look(judge, reference, sample(_table(dice, rows, shift))), "n0")
            for _ in range(INPUT_RUNS)
        )
        figures[f"feature_drift_found_ratio_shift_{shift:g}_sd_{name}"] = hits / (INPUT_RUNS)
    hits = sum(
        _is_told(_look(judge, reference, sample(_table(dice, rows, renamed=True))), "c0")
        for _ in range(INPUT_RUNS)
    )
    figures[f"feature_drift_found_ratio_category_renamed_{name}"] = hits / (INPUT_RUNS)
    return figures


def _predictions(dice: np.random.Generator, rows: int) -> dict[str, Figure]:
    judge = score_judge(_SCORES, _SCORES.metrics[0])
    trained = dice.beta(2, 6, (REFERENCE_ROWS, 1))
    edges = score_edges(Task.BINARY, trained)
    was = score_profile(Task.BINARY, trained, edges, 1.0)

    def is_told(scores: Array) -> bool:
        measured = judge(score_shifts(was, score_profile(Task.BINARY, scores, edges, 1.0)), _of(), ())
        return any(each.verdict in _TOLD for each in measured)

    looks, told = 168, 0
    for _ in range(WEEKS):
        scores = dice.beta(2, 6, (rows * 8, 1))
        starts = (np.arange(looks) * rows // 24).astype(int)
        told += any(is_told(scores[start : start + rows]) for start in starts)
    name = f"of_{rows}_rows"
    figures: dict[str, Figure] = {f"prediction_drift_weeks_with_a_false_alarm_ratio_{name}": told / WEEKS}
    for factor in (1.1, 1.25, 1.5, 2.0):
        hits = sum(is_told(np.clip(dice.beta(2, 6, (rows, 1)) * factor, 0, 1)) for _ in range(POWER_RUNS))
        figures[f"prediction_drift_found_ratio_scores_times_{factor:g}_{name}"] = hits / POWER_RUNS
    return figures


def _calibration(dice: np.random.Generator, rows: int) -> dict[str, Figure]:
    metric = _SCORES.metrics[1]
    judge = calibration_judge(score_judge(_SCORES, metric), metric)

    def look(off: float) -> tuple[bool, bool]:
        scores = dice.uniform(0.2, 0.8, rows)
        labels = (dice.random(rows) < scores - off).astype(np.float64)
        gap = calibration_gap(labels, scores, confidence=calibration_confidence(judge))
        [measured] = judge([calibration_shift(gap, rows, float(rows))], _of(), ())
        return measured.verdict in _TOLD, gap.plain > metric.threshold

    # Labels come in once a day, so a week of hourly looks sees seven windows.
    weeks = [[look(0.0) for _ in range(7)] for _ in range(WEEKS)]
    name = f"of_{rows}_rows"
    figures: dict[str, Figure] = {
        f"calibration_weeks_with_a_false_alarm_ratio_{name}": float(
            np.mean([any(told for told, _ in week) for week in weeks])
        ),
        f"calibration_windows_with_a_false_alarm_ratio_plain_error_{name}": float(
            np.mean([plain for week in weeks for _, plain in week])
        ),
    }
    for off in OFFSETS:
        found = np.mean([look(off)[0] for _ in range(POWER_RUNS)])
        figures[f"calibration_found_ratio_scores_{off:g}_too_high_{name}"] = float(found)
    return figures


def _table(
    dice: np.random.Generator, rows: int, shift: float = 0.0, *, renamed: bool = False
) -> pyarrow.Table:
    """Return rows whose numbers hang together, as those of one unit do; the first one may be shifted."""
    common = dice.normal(size=rows)
    columns: dict[str, pyarrow.Array] = {}
    for place in range(INPUTS):
        own = np.sqrt(0.3) * common + np.sqrt(0.7) * dice.normal(size=rows)
        columns[f"n{place}"] = pyarrow.array(own + shift if place == 0 else own)
    shares = 1.0 / np.arange(1, CATEGORIES + 1)
    for place in range(WORDS):
        names = [f"category {number}" for number in range(CATEGORIES)]
        names[2] = "renamed" if renamed and place == 0 else names[2]
        codes = dice.choice(CATEGORIES, rows, p=shares / shares.sum())
        columns[f"c{place}"] = pyarrow.array(names).take(pyarrow.array(codes))
    return pyarrow.table(columns)


def _slice(week: pyarrow.Table, look: int, looks: int, rows: int) -> pyarrow.Table:
    return week.slice(look * rows * 7 // looks, rows)


def _look(judge: Judge, reference: Sample, current: Sample) -> tuple[Measurement, ...]:
    return judge(input_shifts(reference, current, SIGNATURE), _of(), ())


def _of() -> Measurement:
    return template("simulated", Monitor.FEATURE_DRIFT, "1.0.0", _NOW - timedelta(days=1), _NOW)


def _is_told(measured: tuple[Measurement, ...], subject: str) -> bool:
    return any(each.subject == subject and each.verdict in _TOLD for each in measured)


def _naive(measured: tuple[Measurement, ...]) -> bool:
    """Say what the rule without any of ours would have said: some number's raw p-value is below 0.05."""
    return any(each.metric == KS and each.details["p_value"] < 0.05 for each in measured)  # noqa: PLR2004
