"""How far inputs are from what the model learned from: the figures, before anybody judges them."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from os import cpu_count
from typing import Any

import numpy as np
from scipy.stats import norm

from include.contracts.signatures import FeatureInput, Signature
from include.monitoring.samples import Array, CategoricalColumn, Column, NumericColumn, Sample
from include.stats.category_shift import category_shift
from include.stats.intervals import Interval
from include.stats.kolmogorov_smirnov import two_sample_ks
from include.stats.proportions import score_z, wilson_interval
from include.stats.sufficient_statistics import Proportion

KS, PSI = "ks", "psi"
MISSING, UNSEEN, OUT_OF_RANGE, STALE = "missing_ratio", "unseen_ratio", "out_of_range_ratio", "stale_ratio"
ABSENT = "absent_ratio"
_NAMED = 10
"""Categories that are told by name; the rest is counted."""


@dataclass(frozen=True)
class Shift:
    """One figure about one input."""

    subject: str
    """The feature, or `view:<name>`."""
    metric: str
    value: float | None
    """None where there was nothing to compute it from."""
    effect: float
    """What is held against a floor: how much of the figure is there beyond what chance gives."""
    rows: int
    independent: float
    p_value: float | None = None
    """None where the effect is a confidence limit already."""
    interval: Interval | None = None
    details: dict[str, Any] = field(default_factory=dict)


def input_shifts(reference: Sample, current: Sample, signature: Signature) -> list[Shift]:
    """Return the shifts of every input of a signature, in its order.

    Each column is sorted or counted once; two samples of n rows cost O(n log n) a feature, and no more
    memory than the columns at work.

    Args:
        reference: what the model learned from; holds every input.
        current: what it was asked with; holds every input.
        signature: the model's.
    """

    def of(feature: FeatureInput) -> list[Shift]:
        return list(_of_input(feature, reference, current))

    # Sorting and searching release the interpreter's lock.
    with ThreadPoolExecutor(cpu_count()) as pool:
        return [shift for found in pool.map(of, signature.inputs) for shift in found]


def staleness(view: str, ages: np.ndarray, ttl_seconds: float, independent_ratio: float) -> Shift:
    """Return what part of a view's values was older than it may be when it was served.

    Args:
        view: the view.
        ages: seconds between a value's stamp and the prediction, [n]; n may be 0.
        ttl_seconds: age from which a value counts as stale.
        independent_ratio: part of the rows that counts as independent.
    """
    quantiles = dict(zip(("p50", "p95"), np.quantile(ages, [0.5, 0.95]), strict=True)) if len(ages) else {}
    return _ratio(
        f"view:{view}",
        STALE,
        Proportion(int((ages > ttl_seconds).sum()), len(ages)),
        independent_ratio,
        ttl_seconds=ttl_seconds,
        age_seconds={name: float(value) for name, value in quantiles.items()},
    )


def absence(rows: int, without_inputs: int, independent_ratio: float) -> Shift:
    """Return what part of the requests came to the model without any input at all."""
    return _ratio("inputs", ABSENT, Proportion(without_inputs, rows + without_inputs), independent_ratio)


def _of_input(feature: FeatureInput, reference: Sample, current: Sample) -> Iterator[Shift]:
    was, now = reference.column(feature), current.column(feature)
    ratios = (reference.independent_ratio, current.independent_ratio)
    if isinstance(was, NumericColumn) and isinstance(now, NumericColumn):
        yield _distance(feature.name, was, now, ratios)
        yield _out_of_range(feature, was, now, ratios[1])
    elif isinstance(was, CategoricalColumn) and isinstance(now, CategoricalColumn):
        yield _index(feature.name, was, now, ratios)
        yield _unseen(feature.name, was, now, ratios[1])
    yield _missing(feature.name, (was, reference), (now, current))


def _distance(name: str, was: NumericColumn, now: NumericColumn, ratios: tuple[float, float]) -> Shift:
    rows = (len(was.values), len(now.values))
    independent = (rows[0] * ratios[0], rows[1] * ratios[1])
    if not all(rows):
        return Shift(name, KS, None, 0.0, rows[1], independent[1])
    test = two_sample_ks(was.values, now.values, independent=independent)
    return Shift(
        name,
        KS,
        test.distance,
        test.distance,
        rows[1],
        independent[1],
        test.p_value,
        details=_finite({"median": _median(now.values), "reference_median": _median(was.values)}),
    )


def _index(name: str, was: CategoricalColumn, now: CategoricalColumn, ratios: tuple[float, float]) -> Shift:
    categories = sorted(was.counts.keys() | now.counts.keys())
    counts = [[column.counts.get(each, 0) for each in categories] for column in (was, now)]
    rows = (sum(counts[0]), sum(counts[1]))
    independent = (rows[0] * ratios[0], rows[1] * ratios[1])
    if not all(rows):
        return Shift(name, PSI, None, 0.0, rows[1], independent[1])
    shift = category_shift(*counts, independent=independent)
    moved = {
        each: now.counts.get(each, 0) / rows[1] - was.counts.get(each, 0) / rows[0] for each in categories
    }
    most = sorted(moved, key=lambda each: -abs(moved[each]))[:_NAMED]
    return Shift(
        name,
        PSI,
        shift.index,
        shift.excess,
        rows[1],
        independent[1],
        shift.p_value,
        details={
            "excess": shift.excess,
            "chi_squared": shift.chi_squared,
            "degrees_of_freedom": shift.degrees_of_freedom,
            "moved": {each: moved[each] for each in most},
        },
    )


def _missing(name: str, was: tuple[Column, Sample], now: tuple[Column, Sample]) -> Shift:
    arms = [Proportion(column.missing, sample.rows) for column, sample in (was, now)]
    weighted = [
        _weighted(arm, sample.independent_ratio) for arm, (_, sample) in zip(arms, (was, now), strict=True)
    ]
    gap = arms[1].share - arms[0].share
    return Shift(
        name,
        MISSING,
        arms[1].share,
        abs(gap),
        arms[1].trials,
        now[1].independent,
        float(2 * norm.sf(abs(score_z(*weighted)))),
        wilson_interval(weighted[1]),
        {"reference": arms[0].share},
    )


def _out_of_range(feature: FeatureInput, was: NumericColumn, now: NumericColumn, ratio: float) -> Shift:
    """Hold values against the contract's bounds; where it has none, against all the model learned from."""
    low, high = feature.minimum, feature.maximum
    if low is None:
        low = float(was.values[0]) if len(was.values) else -np.inf
    if high is None:
        high = float(was.values[-1]) if len(was.values) else np.inf
    first, after_last = (int(np.searchsorted(now.values, *at)) for at in ((low, "left"), (high, "right")))
    outside = Proportion(len(now.values) - max(0, after_last - first), len(now.values))
    bounds = {"minimum": low, "maximum": high}
    return _ratio(feature.name, OUT_OF_RANGE, outside, ratio, **_finite(bounds))


def _unseen(name: str, was: CategoricalColumn, now: CategoricalColumn, ratio: float) -> Shift:
    unseen = {each: count for each, count in now.counts.items() if each not in was.counts}
    told = sorted(unseen, key=lambda each: (-unseen[each], each))
    share = Proportion(sum(unseen.values()), sum(now.counts.values()))
    return _ratio(name, UNSEEN, share, ratio, categories=told[:_NAMED], unseen=len(unseen))


def _ratio(subject: str, metric: str, share: Proportion, ratio: float, **details: object) -> Shift:
    if not share.trials:
        return Shift(subject, metric, None, 0.0, 0, 0.0, details=details)
    limits = wilson_interval(_weighted(share, ratio))
    return Shift(
        subject,
        metric,
        share.share,
        limits.low,
        share.trials,
        share.trials * ratio,
        interval=limits,
        details=details,
    )


def _weighted(share: Proportion, ratio: float) -> Proportion:
    """Return a share of as many rows as are independent."""
    trials = max(1, round(share.trials * ratio))
    return Proportion(min(trials, round(share.share * trials)), trials)


def _median(ascending: Array) -> float:
    """Return the median of sorted values; the upper one of two."""
    return float(ascending[len(ascending) // 2])


def _finite(bounds: Mapping[str, float]) -> dict[str, float]:
    """Return what JSON has a form for; a log may hold infinities."""
    return {name: bound for name, bound in bounds.items() if np.isfinite(bound)}
