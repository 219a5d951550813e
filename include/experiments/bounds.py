"""The bounds of this look, given every look there was: alpha is spent by information that has matured."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from operator import truediv

import numpy as np

from include.contracts.experiment_plan import ExperimentPlan, PrimaryMetric
from include.contracts.experiment_results import Look
from include.contracts.experiments import Experiment
from include.contracts.moments import UtcDatetime
from include.experiments.samples import Sample
from include.stats.critical_values import ErrorSpending
from include.stats.experiment_design import design_of
from include.stats.intervals import Estimate
from include.stats.multiplicity import holm
from include.stats.sequential import (
    critical_values,
    futility_bounds,
    median_unbiased_drift,
    repeated_p_values,
    spent_alpha,
)
from include.stats.spending import Floats

CLOSEST = 1e-3
"""Looks closer than this share of the plan's information are one look."""


@dataclass(frozen=True)
class Timetable:
    """Which look is due."""

    fraction: float
    """Information reached, as a share of the plan's."""
    due: bool
    """Whether a planned look was reached, or the last one."""
    final: bool
    """Whether no look can follow: the plan's information is there, or no unit can be added any more."""
    new: bool
    """Whether enough was added since the last look for there to be another."""
    next_look: float | None
    """Planned fraction of the next look after this moment."""


def timetable(
    experiment: Experiment,
    informations: Sequence[float],
    earlier: Sequence[Sequence[Look]],
    as_of: UtcDatetime,
    matures_at: UtcDatetime,
) -> Timetable:
    """Return which look is due at a moment: all comparisons are looked at together, when the slowest is due.

    Args:
        experiment: its plan and size.
        informations: of each comparison, the effective size of matured units.
        earlier: of each comparison, the looks there were.
        as_of: the moment.
        matures_at: when the last unit that counts has matured.
    """
    size = experiment.size.informations
    fraction = min(map(truediv, informations, size))
    final = fraction >= 1.0 or as_of >= matures_at
    planned = experiment.plan.primary.looks
    seen = [looks[-1].information / most for looks, most in zip(earlier, size, strict=True) if looks]
    last = min(seen, default=0.0)
    over = any(looks[-1].final for looks in earlier if looks)
    return Timetable(
        fraction=fraction,
        due=not over and (final or any(last < share <= fraction for share in planned)),
        final=final,
        new=not over and fraction > last + CLOSEST,
        next_look=next((share for share in planned if share > fraction), None),
    )


def take_looks(
    experiment: Experiment,
    samples: Sequence[Sample],
    earlier: Sequence[Sequence[Look]],
    when: Timetable,
    as_of: UtcDatetime,
) -> tuple[Look | None, ...]:
    """Return the look at each comparison; None where there are too few events for a statistic.

    Several treatments share alpha by Holm's steps on their sequential p-values, the smallest repeated p-value
    of all looks so far (Liu & Anderson 2008): each holds at all looks together, so the steps keep the chance
    of any false alarm at alpha, whenever one looks (Maurer & Bretz 2013, Stat. Biopharm. Res. 5:311; Ye, Li,
    Liu & Yao 2013, Stat. Med. 32:1112). A comparison's bounds are those of the alpha it has; its limits are
    those of alpha over all treatments (Bonferroni), since they hold for all of them at once.
    """
    size = experiment.size.informations
    raw = [
        _raw(experiment, sample, looks, when, most=most, as_of=as_of)
        for sample, looks, most in zip(samples, earlier, size, strict=True)
    ]
    if len(raw) == 1:
        return tuple(raw)
    smallest = [
        min((look.p_value for look in (*looks, *([now] if now else []))), default=1.0)
        for looks, now in zip(earlier, raw, strict=True)
    ]
    levels, adjusted = holm_levels(smallest, experiment.plan.primary.alpha), holm(smallest)
    return tuple(
        None if now is None else _at_level(experiment, [*looks, now], most, level, float(p_value))
        for now, looks, most, level, p_value in zip(raw, earlier, size, levels, adjusted, strict=True)
    )


def holm_levels(p_values: Sequence[float], alpha: float) -> tuple[float, ...]:
    """Return the alpha each comparison is held against: `alpha / m`, and more once others are rejected."""
    ordered = sorted(range(len(p_values)), key=lambda place: p_values[place])
    levels = [0.0] * len(p_values)
    rejected, going_on = 0, True
    for place in ordered:
        levels[place] = alpha / (len(p_values) - rejected)
        going_on = going_on and p_values[place] <= levels[place]
        rejected += going_on
    return tuple(levels)


def _raw(
    experiment: Experiment,
    sample: Sample,
    looks: Sequence[Look],
    when: Timetable,
    *,
    most: float,
    as_of: UtcDatetime,
) -> Look | None:
    """Return a look with the bounds of the alpha that the comparison was planned with."""
    primary = experiment.plan.primary
    z, effect = sample.z, sample.effect
    if z is None or effect is None or effect.standard_error == 0.0:
        return None
    sign = 1.0 if primary.direction == "increase" else -1.0
    alpha = experiment.plan.alpha_each
    information = np.array([*(look.information for look in looks), sample.information])
    times = _times(information, most, final=when.final)
    upper = _upper(primary, alpha, times, information)
    half = float(upper[-1]) * effect.standard_error
    p_values = repeated_p_values(
        [*(look.z for look in looks), sign * z],
        times,
        primary.sides,
        spending=primary.spending,
        parameter=primary.parameter,
        information=information,
    )
    return Look(
        as_of=as_of,
        number=len(looks) + 1,
        planned=when.due,
        final=when.final,
        fraction=float(times[-1]),
        information=float(information[-1]),
        z=sign * z,
        upper=float(upper[-1]),
        lower=_lower(experiment.plan, alpha, times, information / most, upper),
        alpha_spent=_spent(primary, alpha, times),
        estimate=effect.value,
        standard_error=effect.standard_error,
        low=effect.value - half,
        high=effect.value + half,
        p_value=float(p_values[-1]),
        variance_reduction=sample.variance_reduction,
    )


def _at_level(
    experiment: Experiment, looks: Sequence[Look], most: float, level: float, adjusted: float
) -> Look:
    """Return the last look with the bounds of the alpha that Holm's steps leave it."""
    primary, last = experiment.plan.primary, looks[-1]
    information = np.array([look.information for look in looks])
    times = _times(information, most, final=last.final)
    upper = _upper(primary, level, times, information)
    return last.model_copy(
        update={
            "upper": float(upper[-1]),
            "lower": _lower(experiment.plan, level, times, information / most, upper),
            "alpha_spent": _spent(primary, level, times),
            "level": level,
            "adjusted_p_value": adjusted,
        }
    )


def unbiased_estimate(experiment: Experiment, looks: Sequence[Look], effect: Estimate) -> float:
    """Return the median-unbiased effect of a test that crossed its upper bound at the last of its looks."""
    information = [look.information for look in looks]
    upper = [look.upper for look in looks]
    lower = None if experiment.plan.primary.sides == 1 else [-bound for bound in upper]
    drift = median_unbiased_drift(information, upper, looks[-1].z, lower)
    sign = 1.0 if experiment.plan.primary.direction == "increase" else -1.0
    # Z has mean drift * sqrt(information); the effect has it in standard errors.
    return sign * drift * sqrt(information[-1]) * effect.standard_error


def _times(information: Floats, planned: float, *, final: bool) -> Floats:
    """Return spending time: information over the plan's, and 1 at the last look, whatever its information."""
    # Something is left to spend at the last look, so none before it counts as the end.
    times = np.minimum(information / planned, 1.0 - CLOSEST)
    if final:
        times[-1] = 1.0
    return times


def _upper(primary: PrimaryMetric, alpha: float, times: Floats, information: Floats) -> Floats:
    return critical_values(times, alpha, primary.sides, primary.spending, primary.parameter, information)


def _lower(plan: ExperimentPlan, alpha: float, times: Floats, shares: Floats, upper: Floats) -> float | None:
    """Return the bound on the other side: worse by the same alpha, or futile.

    Args:
        plan: says which.
        alpha: of the comparison.
        times: spending time of each look.
        shares: information of each look, as a share of the plan's: at 1 the drift is that of the plan.
        upper: bounds of efficacy.
    """
    primary = plan.primary
    if primary.sides == 2:  # noqa: PLR2004 - two-sided
        return -float(upper[-1])
    if primary.futility is None:
        return None
    design = design_of(plan, alpha=alpha)
    beta = ErrorSpending(1.0 - primary.power, primary.futility)
    return float(futility_bounds(times, upper, beta, design.drift, shares)[-1])


def _spent(primary: PrimaryMetric, alpha: float, times: Floats) -> float:
    side = spent_alpha(times, alpha / primary.sides, primary.spending, primary.parameter)
    return float(side[-1]) * primary.sides
