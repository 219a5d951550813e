"""Tests of sample sizes."""

from math import ceil, sqrt

import numpy as np
import pytest
from scipy.stats import norm

from include.stats.group_sequential_design import equally_spaced, inflation_factor
from include.stats.sample_size import (
    ArmSizes,
    effective_size,
    sample_size_means,
    sample_size_proportions,
    sample_size_ratios,
)
from include.stats.sufficient_statistics import JointMoments


def test_means_follow_the_textbook():
    """Two arms, effect of a fifth of a standard deviation, 80 % at two-sided 5 %: 393 each."""
    assert ArmSizes(393, 393) == sample_size_means(0.2, 1.0)
    assert ArmSizes(393, 393) == sample_size_means(-2.0, 10.0)
    assert 786 == sample_size_means(0.2, 1.0).total


def test_proportions_follow_the_textbook():
    """10 % against 12 % with unpooled variances: (z + z)^2 (p q + p q) / d^2."""
    z = norm.isf(0.025) + norm.ppf(0.8)
    size = ceil(z**2 * (0.1 * 0.9 + 0.12 * 0.88) / 0.02**2)

    assert ArmSizes(size, size) == sample_size_proportions(0.1, 0.02)
    assert 3839 == size


@pytest.mark.parametrize("allocation", [0.1, 1.0, 4.0])
def test_an_unequal_split_needs_the_same_effective_size(allocation):
    """Information on the difference is what counts, and an even split is the cheapest."""
    even, split = sample_size_means(0.05, 1.0), sample_size_means(0.05, 1.0, allocation=allocation)
    needed = effective_size(even.control, even.treatment)

    assert pytest.approx(needed, rel=1e-3) == effective_size(split.control, split.treatment)
    assert pytest.approx(allocation, rel=1e-3) == split.treatment / split.control
    assert even.total <= split.total


def test_looks_cost_the_inflation_factor():
    """Looking five times with Pocock-like spending needs that much more."""
    fixed, watched = (
        sample_size_means(0.01, 1.0),
        sample_size_means(0.01, 1.0, fractions=equally_spaced(5), spending="pocock"),
    )

    assert (
        pytest.approx(inflation_factor(equally_spaced(5), spending="pocock"), rel=1e-4)
        == watched.control / fixed.control
    )


def test_effective_size_is_not_the_number_of_users():
    """A split of 95 to 5 is worth less than a fifth of an even one."""
    assert pytest.approx(475) == effective_size(9_500, 500)
    assert pytest.approx(2_500) == effective_size(5_000, 5_000)
    with pytest.raises(ValueError, match="both arms need units"):
        effective_size(100, 0)


def test_planned_proportions_reach_their_power():
    """20,000 simulated experiments of the planned size at the MDE reject as often as planned, or more."""
    size = sample_size_proportions(0.05, 0.01, power=0.9)
    draw = np.random.default_rng(3)
    control = draw.binomial(size.control, 0.05, 20_000) / size.control
    treatment = draw.binomial(size.treatment, 0.06, 20_000) / size.treatment
    error = np.sqrt(control * (1 - control) / size.control + treatment * (1 - treatment) / size.treatment)
    power = ((treatment - control) / error > norm.isf(0.025)).mean()

    assert pytest.approx(0.9, abs=0.01) == power


def test_ratios_are_planned_by_the_spread_of_units():
    """With one request a unit a ratio is a mean; where requests of a unit are alike, it costs more units."""
    draw = np.random.default_rng(4)
    values = draw.normal(5.0, 2.0, 5_000)
    single = sample_size_ratios(0.1, JointMoments.of(values, np.ones(5_000)))
    requests = draw.integers(1, 50, 5_000)
    rates = draw.beta(2, 18, 5_000)
    errors = draw.binomial(requests, rates)
    clustered = sample_size_ratios(0.01, JointMoments.of(errors, requests))
    alone = sample_size_proportions(errors.sum() / requests.sum(), 0.01)

    assert pytest.approx(sample_size_means(0.1, values.std()).control, rel=2e-3) == single.control
    assert clustered.control * requests.mean() > 1.5 * alone.control


def test_ratio_plans_reach_their_power():
    """Simulated with units of 1 to 20 requests that share a rate, at the planned number of units."""
    draw = np.random.default_rng(5)

    def arm(units, lift):
        requests = draw.integers(1, 21, units)
        return JointMoments.of(
            draw.binomial(requests, np.clip(draw.beta(2, 18, units) + lift, 0, 1)), requests
        )

    size = sample_size_ratios(0.02, arm(50_000, 0.01))
    hits = 0
    for _ in range(500):
        control, treatment = arm(size.control, 0.0), arm(size.treatment, 0.02)
        gap = treatment.mean_x / treatment.mean_y - control.mean_x / control.mean_y
        error = sqrt(sum(_variance(one) for one in (control, treatment)))
        hits += gap / error > norm.isf(0.025)

    assert pytest.approx(0.8, abs=4 * sqrt(0.16 / 500)) == hits / 500


def _variance(arm):
    """Return the delta-method variance written out."""
    value = arm.mean_x / arm.mean_y
    return (
        (arm.variance_x - 2 * value * arm.covariance + value**2 * arm.variance_y) / arm.units / arm.mean_y**2
    )


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (lambda: sample_size_means(0.0, 1.0), "finite and not 0"),
        (lambda: sample_size_means(float("nan"), 1.0), "finite and not 0"),
        (lambda: sample_size_means(0.1, 0.0), "standard deviation is positive"),
        (lambda: sample_size_means(0.1, 1.0, allocation=0.0), "allocation is positive"),
        (lambda: sample_size_means(0.1, 1.0, power=0.01), "power lies between"),
        (lambda: sample_size_proportions(0.0, 0.1), "baseline is a proportion"),
        (lambda: sample_size_proportions(0.95, 0.05), r"baseline \+ mde is a proportion"),
        (lambda: sample_size_ratios(0.1, JointMoments()), "denominator"),
    ],
)
def test_plans_without_sense_are_refused(plan, reason):
    """The message names the figure."""
    with pytest.raises(ValueError, match=reason):
        plan()
