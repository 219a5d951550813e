"""Two models' answers to the same requests: how far apart, and whether they decide otherwise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class PairedOutputs:
    """What comes of comparing answers request by request."""

    pairs: int
    mean_difference: float
    """Of the second minus the first; with several outputs, of the largest absolute one."""
    quantiles: tuple[float, ...]
    """Of the same differences, at `QUANTILES`."""
    largest_difference: float
    """Absolute."""
    differing_decisions: int | None
    """Pairs on other sides of the threshold, or whose largest output is another; None where none is taken."""


def compare_outputs(first: ArrayLike, second: ArrayLike, threshold: float | None) -> PairedOutputs:
    """Compare answers pairwise.

    Args:
        first: outputs, shape (pairs, outputs).
        second: outputs to the same requests, same shape.
        threshold: of one output, at or above which the decision is yes; None where nothing is decided by it.

    Raises:
        ValueError: the shapes differ, or there are no pairs.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.shape != other.shape or one.ndim != 2 or not one.size:  # noqa: PLR2004 - pairs, outputs
        raise ValueError(f"outputs of shapes {one.shape} and {other.shape} make no pairs")
    apart = other - one if one.shape[1] == 1 else np.abs(other - one).max(axis=1)
    differences = apart.ravel()
    return PairedOutputs(
        pairs=len(one),
        mean_difference=float(differences.mean()),
        quantiles=tuple(float(value) for value in np.quantile(differences, QUANTILES)),
        largest_difference=float(np.abs(differences).max()),
        differing_decisions=_differing(one, other, threshold),
    )


def _differing(one: NDArray[np.float64], other: NDArray[np.float64], threshold: float | None) -> int | None:
    if one.shape[1] > 1:
        return int((one.argmax(axis=1) != other.argmax(axis=1)).sum())
    if threshold is None:
        return None
    return int(((one >= threshold) != (other >= threshold)).sum())
