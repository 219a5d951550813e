"""What performance monitoring finds and what it cries for nothing, at default settings, by simulation.

A binary model of calibrated scores, a fifth of its units positive, one prediction a unit and day. A decline
turns the labels of a share of the units round; a slide lets that share grow day by day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from scipy.special import expit

from include.commands.benchmark_record import Figure
from include.config.models import model_folder
from include.config.settings import settings
from include.contracts.measurements import Measurement
from include.contracts.model import Metric
from include.contracts.performance import Cause, Comparison, PerformanceReason, RetrainDecision
from include.contracts.signatures import Task
from include.monitoring.figures import EVERYBODY, Group
from include.monitoring.figures import Figure as Measured
from include.monitoring.history import BASELINE_DAYS, Baseline, Days, Key, first_days, with_figures
from include.monitoring.judged_days import judged, measurements_of
from include.monitoring.performance_plan import WEEK, Plan, Window, plan_of
from include.monitoring.retrain_requests import judged_day
from include.monitoring.retrain_rule import DayResult, decide
from include.stats.expected_performance import expected_metric
from include.stats.influence import clustered_estimate, influences
from include.stats.metrics import Array
from include.stats.reweighting import Sample, explain

UNITS = (300, 1_000)
"""Labelled units a day."""
WORLDS, CAUSES = 8, 8
HEALTHY, WATCHED = 35, 84
"""Days before anything happens, and days that are then looked at."""
FLIPPED = (0.05, 0.1, 0.2, 0.3)
SLIDE = 0.004
"""Share of the units that turn each day in a slide."""
SLIDING = 60
METRICS = (Metric.ROC_AUC, Metric.ACCURACY, Metric.PRECISION, Metric.RECALL)
_FIRST = datetime(2017, 3, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_VERSION = "1.0.0"


@dataclass
class _World:
    """A model whose days pass."""

    dice: np.random.Generator
    units: int
    plan: Plan

    def __post_init__(self) -> None:
        self.days, self.baselines = Days({}, {}), dict[Key, Baseline]()
        self._week: list[tuple[Array, Array]] = []

    def pass_day(self, number: int, flipped: float = 0.0) -> list[Measurement]:
        """Let a day pass; return what is said of it and of its week."""
        labels, scores = _drawn(self.dice, self.units, flipped)
        self._week = [*self._week[-6:], (labels, scores)]
        start = _FIRST + number * _DAY
        today, week = Window(start, start + _DAY), Window(start + _DAY - WEEK, start + _DAY)
        figures = {today: _figures([(labels, scores)])}
        if len(self._week) * _DAY == WEEK:
            figures[week] = _figures(self._week)
        self.days = with_figures(self.days, start, figures[today])
        said = measurements_of(self.plan, judged(self.plan, self.days, figures, self.baselines))
        for metric in METRICS:
            key = (None, metric)
            made = first_days(self.days, key, _VERSION, start + _DAY, self.plan.overlap)
            if made is not None:
                self.baselines.setdefault(key, made)
        return said


def measure_performance() -> Mapping[str, Figure]:
    """Return false alarms of healthy weeks, declines found and when, coverage, and causes named."""
    found: dict[str, Figure] = {"performance_worlds_simulated": WORLDS}
    for units in UNITS:
        found |= _false_alarms(units) | _declines(units) | _slides(units) | _coverage(units)
    return found | _causes()


def _false_alarms(units: int) -> dict[str, Figure]:
    weeks, naive, asked = 0, 0, 0
    for world in _worlds(units):
        days = [world.pass_day(number) for number in range(HEALTHY + WATCHED)]
        watched = [days[start : start + 7] for start in range(HEALTHY, HEALTHY + WATCHED, 7)]
        weeks += sum(any(map(_is_worse, week)) for week in watched)
        naive += sum(any(_is_worse_by_the_bare_rule(day, world.plan) for day in week) for week in watched)
        asked += _asks(days, world.plan) is not None
    looked_at = WORLDS * WATCHED / 7
    return {
        f"performance_weeks_with_a_false_alarm_ratio_of_{units}_labels_a_day": weeks / looked_at,
        f"performance_weeks_with_a_false_alarm_ratio_bare_rule_of_{units}_labels_a_day": naive / looked_at,
        f"retrain_false_requests_ratio_of_{HEALTHY + WATCHED}_days_of_{units}_labels_a_day": asked / WORLDS,
    }


def _declines(units: int) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    for share in FLIPPED:
        first, requested = [], 0
        for world in _worlds(units):
            healthy = [world.pass_day(number) for number in range(HEALTHY)]
            bad = [world.pass_day(HEALTHY + number, share) for number in range(7)]
            first.append(next((day for day, said in enumerate(bad) if _is_worse(said)), None))
            requested += _asks([*healthy, *bad], world.plan) is not None
        name = f"{share:g}_of_units_turned_of_{units}_labels_a_day"
        found[f"performance_found_ratio_first_day_{name}"] = first.count(0) / WORLDS
        found[f"performance_found_ratio_within_a_week_{name}"] = 1 - first.count(None) / WORLDS
        found[f"retrain_requested_ratio_within_a_week_{name}"] = requested / WORLDS
    return found


def _slides(units: int) -> dict[str, Figure]:
    first: dict[str, list[int]] = {each.metric: [] for each in Comparison}
    for world in _worlds(units):
        for number in range(BASELINE_DAYS):
            world.pass_day(number)
        seen = set()
        for number in range(SLIDING):
            said = world.pass_day(BASELINE_DAYS + number, number * SLIDE)
            for each in said:
                if each.reason == PerformanceReason.WORSE and each.metric not in seen:
                    seen.add(each.metric)
                    first[each.metric].append(number)
    name = f"of_{units}_labels_a_day"
    return {
        key: value
        for metric, days in first.items()
        for key, value in (
            (f"performance_slide_found_ratio_{metric}_{name}", len(days) / WORLDS),
            (f"performance_slide_days_until_found_{metric}_{name}", float(np.mean(days)) if days else -1.0),
        )
    }


def _coverage(units: int) -> dict[str, Figure]:
    """Return how often the truth lay within the 95 % interval of what calibrated scores promised."""
    dice, right, runs = np.random.default_rng([units, 5]), 0, 200
    for _ in range(runs):
        labels, scores = _drawn(dice, units, 0.0)
        interval = expected_metric(Metric.ROC_AUC, scores, scores, np.arange(units)).interval()
        realised = influences(Metric.ROC_AUC, Task.BINARY, labels, scores).value
        right += interval.low <= realised <= interval.high
    return {f"estimated_performance_coverage_ratio_of_{units}_labels_a_day": right / runs}


def _causes() -> dict[str, Figure]:
    """Return how often the cause of a decline is named right: 8,000 rows when it was well, 2,000 since."""
    kinds: dict[str, tuple[dict[str, float], Cause]] = {
        "other_inputs": ({"shift": 1.6}, Cause.DATA),
        "changed_relation": ({"flipped": 0.25}, Cause.CONCEPT),
        "both": ({"shift": 1.6, "flipped": 0.25}, Cause.BOTH),
        "unit_bug": ({"scale": 100.0, "shift": 3.0}, Cause.UNLIKE),
    }
    found: dict[str, Figure] = {}
    for name, (changes, cause) in kinds.items():
        named = [_named(seed, changes) for seed in range(CAUSES)]
        found[f"cause_right_ratio_{name}"] = named.count(cause) / CAUSES
        found[f"cause_wrong_ratio_{name}"] = (
            sum(each not in {cause, Cause.UNDECIDED} for each in named) / CAUSES
        )
    return found


def _named(seed: int, changes: Mapping[str, float]) -> Cause:
    dice = np.random.default_rng([seed, 9])
    reference, current = _sample(dice, 8_000), _sample(dice, 2_000, **changes)
    return explain(Metric.ROC_AUC, Task.BINARY, reference, current, seed=seed).cause


def _sample(
    dice: np.random.Generator, rows: int, *, shift: float = 0.0, flipped: float = 0.0, scale: float = 1.0
) -> Sample:
    """Return rows of six inputs; where the first is beyond one, the model knows less than it says."""
    inputs = dice.normal(size=(rows, 6))
    inputs[:, 0] = inputs[:, 0] * scale + shift
    signal = 1.5 * inputs[:, 1] + inputs[:, 2]
    chances = expit(np.where(inputs[:, 0] > 1, 0.2, 1.0) * signal - 0.8)
    chances = np.where(dice.random(rows) < flipped, 1 - chances, chances)
    labels = (dice.random(rows) < chances).astype(np.float64)
    return Sample(inputs, labels, expit(signal - 0.8), np.arange(rows))


def _worlds(units: int) -> list[_World]:
    contract = model_folder(settings().model_folders, "churn").contract
    plan = plan_of(contract, _FIRST)
    return [_World(np.random.default_rng([units, seed]), units, plan) for seed in range(WORLDS)]


def _drawn(dice: np.random.Generator, units: int, flipped: float) -> tuple[Array, Array]:
    scores = expit(1.5 * dice.normal(size=units) - 1.8)
    labels = (dice.random(units) < scores).astype(np.float64)
    turned = dice.random(units) < flipped
    return np.where(turned, 1 - labels, labels), scores


def _figures(parts: Sequence[tuple[Array, Array]]) -> list[Measured]:
    labels, scores = (np.concatenate(each) for each in zip(*parts, strict=True))
    rows = len(labels)
    found = []
    for group in (EVERYBODY, Group(version=_VERSION)):
        for metric in METRICS if group is EVERYBODY else METRICS[:1]:
            estimate = clustered_estimate(influences(metric, Task.BINARY, labels, scores), np.arange(rows))
            found.append(Measured(group, metric, rows, rows, estimate))
    return found


def _is_worse(said: Sequence[Measurement]) -> bool:
    return any(each.reason == PerformanceReason.WORSE for each in said)


def _is_worse_by_the_bare_rule(said: Sequence[Measurement], plan: Plan) -> bool:
    """Say what the rule by itself says: the day is worse than the trailing mean by its ratio."""
    ratio = plan.rules.alert_on.ratio
    return any(
        each.metric == Comparison.TRAILING.metric
        and each.window_end - each.window_start == _DAY
        and (each.value or 0.0) >= ratio
        for each in said
    )


def _asks(days: Sequence[Sequence[Measurement]], plan: Plan) -> int | None:
    """Return the first day that asks for a training."""
    retrain = plan.contract.monitoring.auto_retrain
    if retrain is None:
        return None
    results: list[DayResult] = []
    for number, said in enumerate(days):
        of_day = [each for each in said if each.window_end - each.window_start == _DAY]
        results.append(judged_day(_FIRST + number * _DAY, _VERSION, of_day))
        if decide(retrain.trigger, results, ()).decision is RetrainDecision.ASK:
            return number
    return None
