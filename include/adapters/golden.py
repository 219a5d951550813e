"""Golden predictions held against what a server answers."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from include.contracts.errors import ArtefactError
from include.contracts.packages import GoldenSet


@dataclass(frozen=True)
class GoldenDeviation:
    """The golden case that came out worst."""

    case: int
    expected: tuple[float, ...]
    got: tuple[float, ...]
    difference: float
    """Largest absolute difference of the case; infinite where a figure is not finite."""


def worst_deviation(golden: GoldenSet, scores: npt.NDArray[np.float32]) -> GoldenDeviation:
    """Compare scores, float32 [cases, outputs], with the stored ones.

    Raises:
        ArtefactError: the scores have another shape.
    """
    expected = np.array([case.outputs for case in golden.cases], np.float64)
    if scores.shape != expected.shape:
        raise ArtefactError(f"golden scores have shape {scores.shape}, not {expected.shape}")
    difference = np.abs(scores.astype(np.float64) - expected).max(axis=1)
    difference[~np.isfinite(difference)] = np.inf
    case = int(difference.argmax())
    return GoldenDeviation(
        case=case,
        expected=golden.cases[case].outputs,
        got=tuple(float(score) for score in scores[case]),
        difference=float(difference[case]),
    )
