"""What two samples of an input come down to: all that its figures need, wherever the rows are."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from include.contracts.signatures import FeatureInput
from include.monitoring.samples import Array, CategoricalColumn, NumericColumn, Sample
from include.stats.kolmogorov_smirnov import ks_distance


@dataclass(frozen=True)
class Pair:
    """A count of the reference, and the same of the window."""

    was: int
    now: int


@dataclass(frozen=True)
class NumericComparison:
    """Two samples of a number."""

    present: Pair
    missing: Pair
    distance: float | None
    """Largest gap between the two empirical distributions; None where one is empty, as what follows."""
    medians: tuple[float, float] | None
    """Of the reference and of the window; the upper one of two."""
    bounds: tuple[float, float]
    """Smallest and largest value that counts as within range: the contract's, else the reference's."""
    outside: int
    """Rows of the window out of range."""


@dataclass(frozen=True)
class CategoricalComparison:
    """Two samples of a category."""

    was: Mapping[str, int]
    """Rows of the reference by category."""
    now: Mapping[str, int]
    """Rows of the window by category."""
    missing: Pair


Comparison = NumericComparison | CategoricalComparison


def compared(feature: FeatureInput, reference: Sample, current: Sample) -> Comparison:
    """Return what two samples here come down to; each column is sorted or counted once."""
    was, now = reference.column(feature), current.column(feature)
    missing = Pair(was.missing, now.missing)
    if isinstance(was, CategoricalColumn) and isinstance(now, CategoricalColumn):
        return CategoricalComparison(was.counts, now.counts, missing)
    if not (isinstance(was, NumericColumn) and isinstance(now, NumericColumn)):
        raise TypeError(f"{feature.name}: the samples hold it as different kinds")
    both = len(was.values) > 0 and len(now.values) > 0
    bounds = bounds_of(feature, was.values)
    return NumericComparison(
        present=Pair(len(was.values), len(now.values)),
        missing=missing,
        distance=ks_distance(was.values, now.values) if both else None,
        medians=(_median(was.values), _median(now.values)) if both else None,
        bounds=bounds,
        outside=_outside(now.values, *bounds),
    )


def bounds_of(feature: FeatureInput, ascending: Array) -> tuple[float, float]:
    """Return a feature's range: the contract's bounds; where it has none, all the model learned from."""
    smallest, largest = ascending[[0, -1]] if len(ascending) else (-np.inf, np.inf)
    low = smallest if feature.minimum is None else feature.minimum
    high = largest if feature.maximum is None else feature.maximum
    return float(low), float(high)


def _outside(ascending: Array, low: float, high: float) -> int:
    first, after_last = np.searchsorted(ascending, low, "left"), np.searchsorted(ascending, high, "right")
    return len(ascending) - max(0, int(after_last) - int(first))


def _median(ascending: Array) -> float:
    return float(ascending[len(ascending) // 2])
