"""How far inputs are from what the model learned from: the figures, before anybody judges them."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from os import cpu_count
from typing import Any

import numpy as np
from scipy.stats import norm

from include.adapters.engines import Engine
from include.contracts.signatures import FeatureInput, Signature
from include.monitoring.comparisons import (
    CategoricalComparison,
    Comparison,
    NumericComparison,
    Pair,
    compared,
)
from include.monitoring.samples import Sample
from include.monitoring.spread_comparisons import compared_on
from include.stats.category_shift import category_shift
from include.stats.intervals import Interval
from include.stats.kolmogorov_smirnov import ks_p_value
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


def input_shifts(
    reference: Sample, current: Sample, signature: Signature, engine: Engine | None = None
) -> list[Shift]:
    """Return the shifts of every input of a signature, in its order.

    Each column is sorted or counted once; two samples of n rows cost O(n log n) a feature, and no more
    memory than the columns at work.

    Args:
        reference: what the model learned from; holds every input.
        current: what it was asked with; holds every input.
        signature: the model's.
        engine: where to compare; None means here, in memory.
    """
    ratios = (reference.independent_ratio, current.independent_ratio)
    if engine is not None:
        found = compared_on(engine, signature.inputs, reference.table, current.table)
        return [shift for each in signature.inputs for shift in shifts_of(each, found[each.name], ratios)]

    def of(feature: FeatureInput) -> list[Shift]:
        return shifts_of(feature, compared(feature, reference, current), ratios)

    # Sorting and searching release the interpreter's lock.
    with ThreadPoolExecutor(cpu_count()) as pool:
        return [shift for shifts in pool.map(of, signature.inputs) for shift in shifts]


def shifts_of(feature: FeatureInput, found: Comparison, ratios: tuple[float, float]) -> list[Shift]:
    """Return the shifts of one input.

    Args:
        feature: the input.
        found: what its two samples come down to.
        ratios: parts of the rows of reference and window that count as independent.
    """
    if isinstance(found, NumericComparison):
        own = [_distance(feature.name, found, ratios), _out_of_range(feature.name, found, ratios[1])]
        rows = Pair(found.present.was + found.missing.was, found.present.now + found.missing.now)
    else:
        own = [_index(feature.name, found, ratios), _unseen(feature.name, found, ratios[1])]
        rows = Pair(*(sum(each.values()) for each in (found.was, found.now)))
        rows = Pair(rows.was + found.missing.was, rows.now + found.missing.now)
    return [*own, _missing(feature.name, found.missing, rows, ratios)]


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


def _distance(name: str, found: NumericComparison, ratios: tuple[float, float]) -> Shift:
    rows = found.present
    independent = (rows.was * ratios[0], rows.now * ratios[1])
    if found.distance is None or found.medians is None:
        return Shift(name, KS, None, 0.0, rows.now, independent[1])
    return Shift(
        name,
        KS,
        found.distance,
        found.distance,
        rows.now,
        independent[1],
        ks_p_value(found.distance, independent),
        details=_finite({"median": found.medians[1], "reference_median": found.medians[0]}),
    )


def _index(name: str, found: CategoricalComparison, ratios: tuple[float, float]) -> Shift:
    categories = sorted(found.was.keys() | found.now.keys())
    counts = [[side.get(each, 0) for each in categories] for side in (found.was, found.now)]
    rows = (sum(counts[0]), sum(counts[1]))
    independent = (rows[0] * ratios[0], rows[1] * ratios[1])
    if not all(rows):
        return Shift(name, PSI, None, 0.0, rows[1], independent[1])
    shift = category_shift(*counts, independent=independent)
    moved = {each: found.now.get(each, 0) / rows[1] - found.was.get(each, 0) / rows[0] for each in categories}
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


def _missing(name: str, missing: Pair, rows: Pair, ratios: tuple[float, float]) -> Shift:
    arms = [Proportion(missing.was, rows.was), Proportion(missing.now, rows.now)]
    weighted = [_weighted(arm, ratio) for arm, ratio in zip(arms, ratios, strict=True)]
    gap = arms[1].share - arms[0].share
    return Shift(
        name,
        MISSING,
        arms[1].share,
        abs(gap),
        arms[1].trials,
        rows.now * ratios[1],
        float(2 * norm.sf(abs(score_z(*weighted)))),
        wilson_interval(weighted[1]),
        {"reference": arms[0].share},
    )


def _out_of_range(name: str, found: NumericComparison, ratio: float) -> Shift:
    low, high = found.bounds
    outside = Proportion(found.outside, found.present.now)
    return _ratio(name, OUT_OF_RANGE, outside, ratio, **_finite({"minimum": low, "maximum": high}))


def _unseen(name: str, found: CategoricalComparison, ratio: float) -> Shift:
    unseen = {each: count for each, count in found.now.items() if each not in found.was}
    told = sorted(unseen, key=lambda each: (-unseen[each], each))
    share = Proportion(sum(unseen.values()), sum(found.now.values()))
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


def _finite(bounds: Mapping[str, float]) -> dict[str, float]:
    """Return what JSON has a form for; a log may hold infinities."""
    return {name: bound for name, bound in bounds.items() if np.isfinite(bound)}
