"""Performance before the labels are in, from calibrated chances alone.

Confidence-based estimation (CBPE): each row counts as positive with its chance and as negative with the rest,
and the metric is taken over both (as in NannyML's documentation of CBPE; for accuracy, Hendrycks & Gimpel
2017). It is right where the chances are, and blind to a changed relation between inputs and labels: then the
chances are wrong, and nothing in them says so. Hence what it said is held against what came true.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, logit

from include.contracts.model import Metric
from include.contracts.signatures import Task
from include.stats.influence import influences
from include.stats.intervals import Estimate
from include.stats.metrics import Array

FEWEST_SCORED = 5
"""Days an estimate must have been held against the truth before it is trusted."""
LAST_SCORED = 20
"""Days back that count."""
MOST_MISSED = 0.25
"""Share of those days the truth may lie outside the 95 % interval of the estimate."""
_EPSILON = 1e-6


class Trust(StrEnum):
    """Whether an estimate may stand for a metric that is not known yet."""

    TRUSTED = "trusted"
    UNPROVEN = "unproven"
    """It was held against the truth too seldom."""
    DISTRUSTED = "distrusted"
    """It was wrong too often."""


@dataclass(frozen=True)
class Scored:
    """An estimate and what came true."""

    expected: float
    low: float
    high: float
    """Between them the realised metric lies in 95 of 100 cases, if the chances are right."""
    realised: float

    @property
    def was_right(self) -> bool:
        """Whether the truth lay where it was expected."""
        return self.low <= self.realised <= self.high


@dataclass(frozen=True)
class Calibrator:
    """Chances from scores: a logistic curve over the log-odds (Platt 1999), or the scores as they are."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, scores: Array) -> Array:
        """Return chances of 1."""
        if (self.slope, self.intercept) == (1.0, 0.0):
            return scores
        odds = logit(np.clip(scores, _EPSILON, 1 - _EPSILON))
        return np.asarray(expit(self.slope * odds + self.intercept), np.float64)


def fitted_calibrator(labels: Array, scores: Array) -> Calibrator:
    """Return the curve that fits labelled rows best, unless it is no better than the scores themselves.

    Better means by more than two parameters are worth: its log likelihood gains 2 or more (Akaike 1974).
    """
    odds = logit(np.clip(scores, _EPSILON, 1 - _EPSILON))

    def loss(parameters: Array) -> float:
        lines = parameters[0] * odds + parameters[1]
        return float((np.logaddexp(0.0, lines) - labels * lines).sum())

    start = np.array([1.0, 0.0])
    found = minimize(loss, start, method="L-BFGS-B", bounds=[(1e-3, 1e3), (None, None)])
    if not loss(start) - loss(found.x) >= len(start):
        return Calibrator()
    return Calibrator(float(found.x[0]), float(found.x[1]))


def expected_metric(
    metric: Metric, scores: Array, chances: Array, unit_of_row: npt.NDArray[np.int64]
) -> Estimate:
    """Return the value a metric of a binary model will have, and how far chance moves the realised one.

    Args:
        metric: of a binary model.
        scores: what the model said, [n].
        chances: how likely each row is positive, [n].
        unit_of_row: numbers of the rows' units; rows of one unit share their outcome as one.

    Raises:
        ValueError: the metric is not defined for these rows.
    """
    rows = len(scores)
    both = np.concatenate([np.ones(rows), np.zeros(rows)])
    weights = np.concatenate([chances, 1 - chances])
    found = influences(metric, Task.BINARY, both, np.concatenate([scores, scores]), weights)
    # What one row's outcome decides, in weights whose mean is 1 over both halves.
    moved = found.of_rows[:rows] - found.of_rows[rows:]
    swings = np.bincount(unit_of_row, moved * np.sqrt(chances * (1 - chances)))
    return Estimate(found.value, sqrt(float((swings**2).sum())) / rows)


def trust(scored: list[Scored]) -> Trust:
    """Say whether to believe an estimate, from how it did, oldest first."""
    counted = scored[-LAST_SCORED:]
    if len(counted) < FEWEST_SCORED:
        return Trust.UNPROVEN
    missed = sum(not each.was_right for each in counted) / len(counted)
    return Trust.DISTRUSTED if missed > MOST_MISSED else Trust.TRUSTED
