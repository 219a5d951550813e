"""The two-sample Kolmogorov-Smirnov test of a continuous feature, against a reference sorted once."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import kstwo

Array = npt.NDArray[np.float64]
_BLOCK = 2**15
"""Rows looked at together: what is computed of them stays in the processor's cache."""


@dataclass(frozen=True)
class KolmogorovSmirnov:
    """How far apart two samples lie."""

    distance: float
    """Largest gap between the two empirical distributions, in [0, 1]: the effect."""
    p_value: float
    """Chance of such a gap between samples of one distribution."""


def two_sample_ks(
    reference: Array, current: Array, *, independent: tuple[float, float] | None = None
) -> KolmogorovSmirnov:
    """Return the two-sided test of two sorted samples without NaN.

    The distance is exact, ties or not. The p-value is the asymptotic one of `scipy.stats.ks_2samp`, that is
    the law of the one-sample statistic at n m / (n + m) rows (Hodges 1958, Arkiv för Matematik 3:469).

    Args:
        reference: ascending, [m].
        current: ascending, [n].
        independent: rows of reference and of current that count as independent for the p-value, where rows
            repeat one another; None means all of them.

    Raises:
        ValueError: a sample is empty.
    """
    if not len(reference) or not len(current):
        raise ValueError(f"two samples are needed; got {len(reference)} and {len(current)} rows")
    distance = ks_distance(reference, current)
    return KolmogorovSmirnov(distance, ks_p_value(distance, independent or (len(reference), len(current))))


def ks_distance(reference: Array, current: Array) -> float:
    """Return the largest gap between the empirical distributions of two sorted samples, neither empty."""
    # Between two neighbouring rows of `current` its own curve is flat, so the gap is largest at a row or
    # just before one. At ties the inner rows give smaller gaps than the outermost, which are exact.
    return max(_largest_gap(reference, current, start) for start in range(0, len(current), _BLOCK))


def _largest_gap(reference: Array, current: Array, start: int) -> float:
    block = current[start : start + _BLOCK]
    first = np.searchsorted(reference, block[0], side="left")
    last = np.searchsorted(reference, block[-1], side="right")
    place = first + np.searchsorted(reference[first:last], block, side="right")
    share = np.arange(start + 1, start + len(block) + 1) / len(current)
    other = place / len(reference)
    above = (share - other).max()
    # Where both samples have a value, the reference's curve is lower just before it; the same elsewhere.
    tied = reference[np.maximum(place - 1, 0)] == block
    if tied.any():
        other[tied] = np.searchsorted(reference, block[tied], side="left") / len(reference)
    below = (other - share).max() + 1 / len(current)
    return float(max(above, below, 0.0))


def ks_p_value(distance: float, independent: tuple[float, float]) -> float:
    """Return the chance of a gap between samples of one distribution that have so many independent rows."""
    rows, own_rows = independent
    together = rows * own_rows / (rows + own_rows)
    return float(np.clip(kstwo.sf(distance, max(1, round(together))), 0.0, 1.0))
