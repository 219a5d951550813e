"""The bounds of this look, given every look there was: alpha is spent by information that has matured."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from include.contracts.experiment_results import Look
from include.contracts.experiments import Experiment, PrimaryMetric
from include.contracts.moments import UtcDatetime
from include.experiments.samples import Sample
from include.stats.critical_values import ErrorSpending
from include.stats.intervals import Estimate
from include.stats.sequential import (
    critical_values,
    futility_bounds,
    median_unbiased_drift,
    plan_design,
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
    information: float,
    looks: Sequence[Look],
    as_of: UtcDatetime,
    matures_at: UtcDatetime,
) -> Timetable:
    """Return which look is due at a moment.

    Args:
        experiment: its plan and size.
        information: effective size of matured units.
        looks: those there were.
        as_of: the moment.
        matures_at: when the last unit that counts has matured.
    """
    fraction = information / experiment.size.information
    final = fraction >= 1.0 or as_of >= matures_at
    planned = experiment.plan.primary.looks
    last = looks[-1].information / experiment.size.information if looks else 0.0
    over = bool(looks) and looks[-1].final
    return Timetable(
        fraction=fraction,
        due=not over and (final or any(last < share <= fraction for share in planned)),
        final=final,
        new=not over and fraction > last + CLOSEST,
        next_look=next((share for share in planned if share > fraction), None),
    )


def take_look(
    experiment: Experiment, sample: Sample, looks: Sequence[Look], when: Timetable, as_of: UtcDatetime
) -> Look | None:
    """Return the look at the primary metric; None where there are too few events for a statistic."""
    primary = experiment.plan.primary
    z, effect = sample.z, sample.effect
    if z is None or effect is None or effect.standard_error == 0.0:
        return None
    sign = 1.0 if primary.direction == "increase" else -1.0
    information = np.array([*(look.information for look in looks), sample.information])
    times = _times(information, experiment.size.information, final=when.final)
    upper = _upper(primary, times, information)
    lower = _lower(primary, times, information / experiment.size.information, upper)
    half = float(upper[-1]) * effect.standard_error
    statistics = [*(look.z for look in looks), sign * z]
    p_values = repeated_p_values(
        statistics,
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
        lower=lower,
        alpha_spent=_spent(primary, times),
        estimate=effect.value,
        standard_error=effect.standard_error,
        low=effect.value - half,
        high=effect.value + half,
        p_value=float(p_values[-1]),
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


def _upper(primary: PrimaryMetric, times: Floats, information: Floats) -> Floats:
    return critical_values(
        times, primary.alpha, primary.sides, primary.spending, primary.parameter, information
    )


def _lower(primary: PrimaryMetric, times: Floats, shares: Floats, upper: Floats) -> float | None:
    """Return the bound on the other side: worse by the same alpha, or futile.

    Args:
        primary: says which.
        times: spending time of each look.
        shares: information of each look, as a share of the plan's: at 1 the drift is that of the plan.
        upper: bounds of efficacy.
    """
    if primary.sides == 2:  # noqa: PLR2004 - two-sided
        return -float(upper[-1])
    if primary.futility is None:
        return None
    design = plan_design(
        primary.looks,
        primary.alpha,
        1,
        primary.power,
        spending=primary.spending,
        parameter=primary.parameter,
        futility=primary.futility,
    )
    beta = ErrorSpending(1.0 - primary.power, primary.futility)
    return float(futility_bounds(times, upper, beta, design.drift, shares)[-1])


def _spent(primary: PrimaryMetric, times: Floats) -> float:
    side = spent_alpha(times, primary.alpha / primary.sides, primary.spending, primary.parameter)
    return float(side[-1]) * primary.sides
