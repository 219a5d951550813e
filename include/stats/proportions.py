"""Proportions of units: intervals, the score test, and what to do when events are few."""

from math import sqrt

from scipy.special import ndtri
from scipy.stats import hypergeom

from include.stats.intervals import Estimate, Interval, difference_of_intervals
from include.stats.spending import probability
from include.stats.sufficient_statistics import Proportion

MINIMUM_EVENTS = 10
"""Successes and failures needed in each arm before the normal approximation of a z is used at a look."""


def wilson_interval(sample: Proportion, confidence: float = 0.95) -> Interval:
    """Return Wilson's score interval of a proportion.

    Raises:
        ValueError: no trials, or a confidence outside (0, 1).
    """
    error = (1.0 - probability(confidence, "confidence")) / 2.0
    return wilson_limits(sample.share, sample.trials, error)


def wilson_limits(share: float, trials: float, error: float) -> Interval:
    """Return the score limits of a proportion (Wilson 1927, JASA 22:209); trials need not be whole.

    Args:
        share: the proportion seen, in [0, 1].
        trials: how many trials it rests on, above 0; an effective number where they cluster.
        error: one-sided error of each limit.

    Raises:
        ValueError: a share outside [0, 1], no trials, or an error outside (0, 1).
    """
    if not (0.0 <= share <= 1.0 and trials > 0.0):
        raise ValueError(f"a share of {share} of {trials} trials cannot be")
    z = -float(ndtri(probability(error, "error")))
    weight = 1.0 + z * z / trials
    centre = (share + z * z / (2.0 * trials)) / weight
    half = z / weight * sqrt(share * (1.0 - share) / trials + (z / (2.0 * trials)) ** 2)
    return Interval(max(0.0, min(centre - half, share)), share, min(1.0, max(centre + half, share)))


def newcombe_interval(control: Proportion, treatment: Proportion, confidence: float = 0.95) -> Interval:
    """Return the interval of treatment less control, from two Wilson intervals.

    Newcombe (1998, Statistics in Medicine 17:873), method 10: it holds its level for small shares and counts,
    never leaves [-1, 1], and needs no event in either arm.

    Raises:
        ValueError: no trials in an arm, or a confidence outside (0, 1).
    """
    return difference_of_intervals(
        wilson_interval(control, confidence), wilson_interval(treatment, confidence)
    )


def difference_of_proportions(control: Proportion, treatment: Proportion) -> Estimate:
    """Return treatment less control with its unpooled standard error, for estimates and stratified pooling.

    Raises:
        ValueError: no trials in an arm.
    """
    variance = sum(arm.share * (1.0 - arm.share) / arm.trials for arm in (control, treatment))
    return Estimate(treatment.share - control.share, sqrt(variance))


def score_z(control: Proportion, treatment: Proportion) -> float:
    """Return the score statistic of equal proportions (pooled variance); 0 where all units did the same.

    Raises:
        ValueError: no trials in an arm.
    """
    common = (control + treatment).share
    variance = common * (1.0 - common) * (1.0 / control.trials + 1.0 / treatment.trials)
    gap = treatment.share - control.share
    return gap / sqrt(variance) if variance > 0.0 else 0.0


def has_enough_events(control: Proportion, treatment: Proportion, minimum: int = MINIMUM_EVENTS) -> bool:
    """Tell whether both arms have enough successes and failures for the normal approximation."""
    return all(min(arm.successes, arm.trials - arm.successes) >= minimum for arm in (control, treatment))


def exact_z(control: Proportion, treatment: Proportion) -> float:
    """Return the z whose one-sided normal p-value is Fisher's exact one, in the direction of the difference.

    It never exceeds what the data support, so with it a sequential bound holds at looks with a handful of
    events, where `has_enough_events` says no.

    Raises:
        ValueError: no trials in an arm.
    """
    gap = treatment.share - control.share
    both = control + treatment
    law = hypergeom(both.trials, both.successes, treatment.trials)
    tail = law.sf(treatment.successes - 1) if gap > 0.0 else law.cdf(treatment.successes)
    size = max(0.0, -float(ndtri(min(1.0, float(tail)))))
    return size if gap > 0.0 else -size
