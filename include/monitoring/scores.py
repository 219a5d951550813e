"""What versions answered: their scores as counts, which is all that a comparison needs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from include.contracts.signatures import Task
from include.stats.category_shift import binned, quantile_bins
from include.stats.metrics import DECISION_THRESHOLD

Array = npt.NDArray[np.float64]
BINS = 10
"""Of equal mass in the reference."""


@dataclass(frozen=True)
class ScoreProfile:
    """Scores of one version over one window."""

    edges: tuple[float, ...]
    """Inner edges of the bins: deciles of the reference."""
    counts: tuple[int, ...]
    """Rows by bin: of the score; of several classes, of the likeliest one's."""
    classes: tuple[int, ...]
    """Rows by predicted class, of two: negative and positive; empty for a regression."""
    independent: float
    """How many independent rows they are worth."""

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(self.counts)


def score_edges(task: Task, outputs: Array) -> tuple[float, ...]:
    """Return the edges that part a reference's scores into bins of equal mass.

    Args:
        task: the model's.
        outputs: what it answered, [n, outputs].
    """
    return tuple(float(edge) for edge in quantile_bins(_ranked(task, outputs), BINS))


def score_profile(
    task: Task, outputs: Array, edges: Sequence[float], independent_ratio: float
) -> ScoreProfile:
    """Return the profile of what a version answered.

    Args:
        task: the model's.
        outputs: what it answered, [n, outputs].
        edges: of the bins.
        independent_ratio: part of the rows that counts as independent.
    """
    counts = binned(_ranked(task, outputs), np.array(edges))
    return ScoreProfile(
        edges=tuple(edges),
        counts=tuple(int(count) for count in counts),
        classes=_classes(task, outputs),
        independent=len(outputs) * independent_ratio,
    )


def _ranked(task: Task, outputs: Array) -> Array:
    ranked: Array = outputs.max(axis=1) if task is Task.MULTICLASS else outputs[:, 0]
    return ranked


def _classes(task: Task, outputs: Array) -> tuple[int, ...]:
    if task is Task.REGRESSION:
        return ()
    if task is Task.BINARY:
        predicted = (outputs[:, 0] >= DECISION_THRESHOLD).astype(np.int64)
    else:
        predicted = outputs.argmax(axis=1)
    return tuple(int(n) for n in np.bincount(predicted, minlength=max(2, outputs.shape[1])))
