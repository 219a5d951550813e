"""How a distribution over categories or bins has shifted: the stability index and the test beside it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike
from scipy.stats import chi2

Array = npt.NDArray[np.float64]

FLOOR = 1e-4
"""Share that stands for an empty category in the index, as Evidently takes it: a logarithm needs one."""
FEWEST_EXPECTED = 5.0
"""Rows a cell must expect for the chi-squared law, else it is pooled (Cochran 1954, Biometrics 10:417)."""


@dataclass(frozen=True)
class CategoryShift:
    """How far apart two samples of counts lie."""

    index: float
    """Population stability index, as everybody computes it."""
    excess: float
    """The index less what chance alone gives samples of these sizes: the effect."""
    chi_squared: float
    degrees_of_freedom: int
    p_value: float
    """Chance of such a chi-squared between samples of one distribution."""


def category_shift(
    reference: ArrayLike, current: ArrayLike, *, independent: tuple[float, float] | None = None
) -> CategoryShift:
    """Return index and chi-squared test of homogeneity of two counts over the same categories.

    Args:
        reference: rows by category, [k].
        current: the same, [k].
        independent: rows of reference and of current that count as independent for test and excess, where
            rows repeat one another; None means all of them.

    Raises:
        ValueError: the counts differ in length, are negative, or a sample is empty.
    """
    counts = np.array([reference, current], dtype=np.float64)
    if counts.ndim != 2 or (counts < 0).any() or not counts.sum(axis=1).all():  # noqa: PLR2004 - two samples
        raise ValueError(f"two samples of counts over the same categories are needed; got {counts.tolist()}")
    rows = np.array(independent or counts.sum(axis=1), np.float64)
    # Rows that repeat one another are weighed down to as many as are independent.
    weighted = counts * (rows / counts.sum(axis=1))[:, None]
    index = stability_index(counts[0], counts[1])
    used = int((counts.sum(axis=0) > 0).sum())
    statistic, freedom = _homogeneity(weighted)
    return CategoryShift(
        index=index,
        excess=index - chance_index(used, float(rows[0]), float(rows[1])),
        chi_squared=statistic,
        degrees_of_freedom=freedom,
        p_value=float(chi2.sf(statistic, freedom)) if freedom else 1.0,
    )


def stability_index(reference: ArrayLike, current: ArrayLike) -> float:
    """Return the population stability index of two counts: the sum of (q - p) ln(q / p) over the shares.

    A share of zero is taken as `FLOOR`. Categories that neither sample has count for nothing.
    """
    p, q = (_shares(np.asarray(counts, np.float64)) for counts in (reference, current))
    return float(((q - p) * np.log(q / p)).sum())


def chance_index(categories: int, rows: float, own_rows: float) -> float:
    """Return the index to be expected between samples of one distribution: (k - 1) (1 / m + 1 / n).

    Yurdakul & Naranjo (2020, Journal of Risk Model Validation 14:4): over that factor the index follows a
    chi-squared law with k - 1 degrees of freedom.
    """
    return (categories - 1) * (1.0 / rows + 1.0 / own_rows)


def quantile_bins(reference: Array, bins: int = 10) -> Array:
    """Return the inner edges that part a sample into bins of equal mass; fewer where values are tied."""
    levels = np.arange(1, bins) / bins
    return np.unique(np.quantile(reference, levels))


def binned(values: Array, edges: Array) -> npt.NDArray[np.int64]:
    """Return how many values fall into each bin (-inf, e1], (e1, e2], …, (ek, inf)."""
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)


def _shares(counts: Array) -> Array:
    shares = counts / counts.sum()
    return np.where(shares == 0.0, FLOOR, shares)


def _homogeneity(counts: Array) -> tuple[float, int]:
    """Return chi-squared and its degrees of freedom, rare categories pooled into one."""
    expected = _expected(counts)
    rare = expected.min(axis=0) < FEWEST_EXPECTED
    pooled = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
    pooled = pooled[:, pooled.sum(axis=0) > 0]
    expected = _expected(pooled)
    return float(((pooled - expected) ** 2 / expected).sum()), pooled.shape[1] - 1


def _expected(counts: Array) -> Array:
    expected: Array = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    return expected
