"""Is a day worse than days before it? By how much, and can chance have done it?

Days are more than samples of units: a weekend differs from a Tuesday. What their values spread beyond their
standard errors is taken as the days' own variance (DerSimonian & Laird 1986, Controlled Clinical Trials
7:177) and added to the error of the day that is judged. Labels look forward, so days closer than their delay
share part of what their labels saw: of `overlap` days in a row the mean is no surer than of one.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import hypot, sqrt
from typing import TypeVar

import numpy as np

from include.contracts.model import Metric
from include.stats.intervals import Estimate, relative_difference
from include.stats.metrics import Array
from include.stats.multiplicity import holm

FEWEST_DAYS = 5
"""Days a reference needs."""
ALPHA = 0.01
"""Chance that any of the comparisons judged together calls chance a decline."""


_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True)
class DayFigure:
    """A metric of one day."""

    estimate: Estimate
    rows: int


class Outcome(StrEnum):
    """What a comparison says."""

    STEADY = "steady"
    NOT_SHOWN = "not_shown"
    WORSE = "worse"


@dataclass(frozen=True)
class Degradation:
    """By what part of the reference a day is worse; negative where it is better."""

    estimate: Estimate
    reference: float
    current: float

    @property
    def p_value(self) -> float:
        """Chance of such a decline, or a larger one, where there is none."""
        if self.estimate.standard_error == 0.0:
            return 0.0 if self.estimate.value > 0.0 else 1.0
        return 1.0 - self.estimate.lower_tail(self.estimate.z)


@dataclass(frozen=True)
class Reference:
    """What a day is held against."""

    mean: Estimate
    between: float
    """Standard deviation between days, beyond what samples of units explain."""
    days: int


def reference_of(days: Sequence[DayFigure], overlap: int) -> Reference:
    """Return the mean of days, weighted by rows.

    Args:
        days: in order of time.
        overlap: days in a row whose labels share what they saw, at least 1.

    Raises:
        ValueError: fewer than `FEWEST_DAYS`.
    """
    if len(days) < FEWEST_DAYS:
        raise ValueError(f"{len(days)} days are too few to compare with; it takes {FEWEST_DAYS}")
    values = np.array([day.estimate.value for day in days])
    variances = np.array([day.estimate.standard_error**2 for day in days])
    shares = np.array([float(day.rows) for day in days])
    shares /= shares.sum()
    between = _variance_between(values, variances)
    alike = min(overlap, len(days))
    error = sqrt(float((shares**2 * (variances + between)).sum()) * alike)
    largest = sqrt(float((shares * (variances + between)).sum()))
    return Reference(Estimate(float(shares @ values), min(error, largest)), sqrt(between), len(days))


def degradation(metric: Metric, current: Estimate, reference: Reference, days: int = 1) -> Degradation:
    """Return by what part of a reference some days are worse, in the metric's own direction.

    Args:
        metric: says which way is worse.
        current: the metric over the days that are judged.
        reference: what they are held against.
        days: how many they are; the more, the less their own differences matter.

    Raises:
        ValueError: the reference cannot be told from 0.
    """
    judged = Estimate(current.value, hypot(current.standard_error, reference.between / sqrt(days)))
    change = relative_difference(reference.mean, judged)
    sign = -1.0 if metric.larger_is_better else 1.0
    return Degradation(
        Estimate(sign * change.value, change.standard_error), reference.mean.value, current.value
    )


def outcomes(compared: Mapping[_Key, Degradation], ratio: float, alpha: float = ALPHA) -> dict[_Key, Outcome]:
    """Judge comparisons together: worse is what is worse by `ratio` and is no chance, by Holm's correction.

    Args:
        compared: by whatever names them.
        ratio: part of the reference from which a decline counts.
        alpha: chance that any of them calls chance a decline.
    """
    if not compared:
        return {}
    adjusted = holm([each.p_value for each in compared.values()])
    found = {}
    for (key, each), p_value in zip(compared.items(), adjusted, strict=True):
        shown = Outcome.WORSE if p_value <= alpha else Outcome.NOT_SHOWN
        found[key] = shown if each.estimate.value >= ratio else Outcome.STEADY
    return found


def _variance_between(values: Array, variances: Array) -> float:
    positive = variances > 0.0
    if positive.sum() < FEWEST_DAYS:
        return float(values.var(ddof=1))
    weights, kept = 1.0 / variances[positive], values[positive]
    mean = (weights @ kept) / weights.sum()
    excess = float((weights * (kept - mean) ** 2).sum()) - (len(kept) - 1)
    return max(0.0, excess / float(weights.sum() - (weights**2).sum() / weights.sum()))
