"""The two versions as models: what they predict, how sure they are, what they lack, how long they take.

Watched at any time: the limits hold at all of them at once. They are shown beside the verdict and decide
nothing.
"""

from datetime import timedelta
from math import isfinite
from typing import Any

import numpy as np

from include.adapters.logged_columns import read_columns
from include.config.settings import Settings
from include.contracts.experiment_plan import HealthMetric
from include.contracts.experiment_results import Distribution, HealthFigures
from include.contracts.signatures import FeatureKind, Task
from include.experiments.exposures import Exposed, logged_arm
from include.experiments.samples import MOMENTS, moments_of
from include.experiments.tallies import Arms
from include.stats.category_shift import category_shift
from include.stats.confidence_sequences import normal_mixture_sequence
from include.stats.delta_method import difference_of_ratios, ratio
from include.stats.sufficient_statistics import JointMoments

COVERED_WITHIN = timedelta(hours=1)
"""The last requests whose features are looked at."""
MINIMUM_UNITS = 100
"""Units an arm needs before its errors are well enough known."""
BINS = 20
_VALUES = {
    HealthMetric.PREDICTION_DISTRIBUTION: "score",
    HealthMetric.CONFIDENCE_DISTRIBUTION: "greatest(score, 1 - score)",
    HealthMetric.LATENCY: "ln(latency)",
}
"""A request's value; latencies by their logarithm, since a few are very long."""
DRAWN = 1_000_000
"""Requests, about, that distributions are drawn from where there are more: those of units at random."""
_DRAWN = """
CREATE OR REPLACE TEMP TABLE drawn AS
SELECT treated, score, latency FROM judged_requests WHERE hash(unit) % {parts} = 0
"""
_RANGE = "SELECT min(value), max(value) FROM (SELECT {value}::DOUBLE AS value FROM drawn)"
_BINS = """
SELECT treated, least(floor((value - {low}) / {width}), {last})::INTEGER, count(*)
FROM (SELECT treated, {value}::DOUBLE AS value FROM drawn) WHERE isfinite(value) GROUP BY ALL
"""
_SUMS = {
    HealthMetric.PREDICTION_DISTRIBUTION: ("score", "scores"),
    HealthMetric.CONFIDENCE_DISTRIBUTION: ("sure", "scores"),
    HealthMetric.LATENCY: ("latency", "requests"),
}
"""Columns of `units`: the sum over a unit's requests, and how many of them have a value."""
_SQL = """
SELECT treated, {moments} FROM (
    SELECT treated, {total}::DOUBLE AS x, {count}::DOUBLE AS y FROM units WHERE analysed AND {count} > 0
) GROUP BY 1
"""
_COVERAGE = """
SELECT treated, {moments} FROM (
    SELECT unit, {arm} = {number} AS treated, sum({present})::DOUBLE AS x, count(*)::DOUBLE * {features} AS y
    FROM covered WHERE release_or_experiment_id = $id AND {arm} IN (0, {number}) GROUP BY ALL
) GROUP BY 1
"""


def health(
    settings: Settings, exposed: Exposed, metrics: tuple[HealthMetric, ...], fraction: float, number: int = 1
) -> tuple[HealthFigures, ...]:
    """Return the health metrics that can be told.

    Args:
        settings: say where the log lies.
        exposed: the experiment's tables.
        metrics: which are wanted.
        fraction: information reached; the limits are tightest where the plan ends.
        number: of the treatment that is compared.
    """
    [(requests,)] = exposed.rows("SELECT count(*) FROM requests")
    exposed.connection.execute(_DRAWN.format(parts=max(1, requests // DRAWN)))
    found = []
    for metric in metrics:
        if metric is HealthMetric.CONFIDENCE_DISTRIBUTION and exposed.contract.task is Task.REGRESSION:
            continue
        arms = (
            _coverage(settings, exposed, number)
            if metric is HealthMetric.FEATURE_COVERAGE
            else _of_requests(exposed, *_SUMS[metric])
        )
        figures = _figures(metric, arms, fraction)
        found.append(figures.model_copy(update={"distribution": _distribution(exposed, metric, arms)}))
    return tuple(found)


def _of_requests(exposed: Exposed, total: str, count: str) -> Arms[JointMoments]:
    return _arms(exposed.rows(_SQL.format(moments=MOMENTS, total=total, count=count)))


def _distribution(exposed: Exposed, metric: HealthMetric, arms: Arms[JointMoments]) -> Distribution | None:
    """Return how a metric's values lie; None where there are none, or all are the same."""
    if metric is HealthMetric.FEATURE_COVERAGE or not min(arms.control.units, arms.treatment.units):
        return None
    sure = metric is HealthMetric.CONFIDENCE_DISTRIBUTION and exposed.contract.task is Task.BINARY
    value = _VALUES[metric] if sure or metric is HealthMetric.LATENCY else "score"
    [(low, high)] = exposed.rows(_RANGE.format(value=value))
    if low is None or not (isfinite(low) and isfinite(high) and low < high):
        return None
    width = (high - low) / BINS
    counts = np.zeros((2, BINS))
    binned = _BINS.format(value=value, low=repr(low), width=repr(width), last=BINS - 1)
    for treated, place, requests in exposed.rows(binned):
        counts[int(treated), place] = requests
    if not counts.sum(axis=1).all():
        return None
    units = (float(arms.control.units), float(arms.treatment.units))
    shares = counts / counts.sum(axis=1, keepdims=True)
    return Distribution(
        edges=tuple(low + width * place for place in range(BINS + 1)),
        control=tuple(shares[0].tolist()),
        treatment=tuple(shares[1].tolist()),
        stability_index=category_shift(counts[0], counts[1], independent=units).excess,
    )


def _coverage(settings: Settings, exposed: Exposed, number: int) -> Arms[JointMoments]:
    """Return how many of the model's features the last requests had."""
    source, contract = exposed.source, exposed.contract
    last = exposed.rows("SELECT max(seen_at) FROM requests")[0][0]
    if last is None:
        return Arms(JointMoments(), JointMoments())
    inputs = [item for item in contract.features.inputs if item.view is not None]
    names = [f"feature.{item.name}" for item in inputs]
    start = max(source.start, min(source.end, last) - COVERED_WITHIN)
    table = read_columns(
        settings,
        contract.name,
        start,
        source.end,
        ["unit", "assigned_variant", "release_or_experiment_id", *names],
        texts=[item.name for item in inputs if item.kind is FeatureKind.CATEGORICAL],
    )
    exposed.connection.register("covered", table)
    present = " + ".join(f'("{name}" IS NOT NULL)::INTEGER' for name in names) or "0"
    sql = _COVERAGE.format(
        moments=MOMENTS,
        arm=logged_arm(len(source.finals)),
        number=number,
        present=present,
        features=max(len(names), 1),
    )
    rows = exposed.rows(sql, id=source.experiment_id)
    exposed.connection.unregister("covered")
    return _arms(rows)


def _arms(rows: list[tuple[Any, ...]]) -> Arms[JointMoments]:
    found = {bool(treated): moments_of(moments) for treated, *moments in rows}
    return Arms(found.get(False, JointMoments()), found.get(True, JointMoments()))


def _figures(metric: HealthMetric, arms: Arms[JointMoments], fraction: float) -> HealthFigures:
    values = [
        ratio(arm).value if arm.units > 1 and arm.mean_y > 0.0 else None
        for arm in (arms.control, arms.treatment)
    ]
    limits = _limits(arms, fraction) if None not in values else None
    return HealthFigures(
        name=metric.value,
        control=values[0],
        treatment=values[1],
        difference_low=limits[0] if limits else None,
        difference_high=limits[1] if limits else None,
        differs=limits is not None and not limits[0] <= 0.0 <= limits[1],
    )


def _limits(arms: Arms[JointMoments], fraction: float) -> tuple[float, float] | None:
    effect = difference_of_ratios(arms.control, arms.treatment)
    if min(arms.control.units, arms.treatment.units) < MINIMUM_UNITS or effect.standard_error == 0.0:
        return None
    sharpest = effect.standard_error * min(max(fraction, 1e-6), 1.0) ** 0.5
    sequence = normal_mixture_sequence([effect.value], [effect.standard_error], sharpest)
    low, high = float(sequence.low[0]), float(sequence.high[0])
    return (low, high) if isfinite(low) and isfinite(high) else None
