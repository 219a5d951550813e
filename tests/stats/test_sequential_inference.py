"""Tests of p-values, intervals and estimates after looks."""

import numpy as np
import pytest
from scipy.stats import norm

from include.stats.boundary_crossing import exit_probabilities
from include.stats.critical_values import critical_values
from include.stats.group_sequential_design import equally_spaced
from include.stats.sequential_inference import (
    SMALLEST_P_VALUE,
    median_unbiased_drift,
    nominal_levels,
    nominal_p_values,
    repeated_confidence_intervals,
    repeated_p_values,
    stagewise_interval,
    stagewise_p_value,
)
from include.stats.spending import SPENDINGS

LOOKS = [0.25, 0.5, 0.8, 1.0]


def test_nominal_levels_agree_with_rpact():
    """Rpact prints the stage levels of Kim-DeMets 2.2 at alpha 0.03."""
    bounds = critical_values([0.3, 0.7, 1.0], 0.03, 1, "power", 2.2)

    assert pytest.approx([0.0021222083, 0.012430014, 0.02421512], abs=1e-8) == nominal_levels(bounds, 1)


def test_nominal_p_values_count_one_or_both_tails():
    """The usual normal p-values."""
    assert pytest.approx([0.05, 0.05], abs=1e-8) == nominal_p_values([1.959963985, -1.959963985])
    assert pytest.approx([0.025, 0.975], abs=1e-8) == nominal_p_values([1.959963985, -1.959963985], sides=1)


@pytest.mark.parametrize("spending", SPENDINGS)
@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.6])
def test_a_statistic_on_its_bound_has_alpha_as_repeated_p_value(spending, sides, alpha):
    """At every look: the repeated p-value is at most alpha just where the test rejects."""
    bounds = critical_values(LOOKS, alpha, sides, spending)

    assert pytest.approx([alpha] * 4, rel=1e-6) == repeated_p_values(bounds, LOOKS, sides, spending=spending)
    if sides == 2:
        assert pytest.approx([alpha] * 4, rel=1e-6) == repeated_p_values(-bounds, LOOKS, spending=spending)


def test_repeated_p_values_know_real_information():
    """A late last look is judged with the information it had."""
    information = [3.0, 7.0, 11.5]
    bounds = critical_values([0.3, 0.7, 1.0], information=information)

    assert pytest.approx([0.05] * 3, rel=1e-6) == repeated_p_values(
        bounds, [0.3, 0.7, 1.0], information=information
    )


def test_repeated_p_values_are_bounded():
    """No effect at all gives 1, an absurd one the smallest that is resolved."""
    assert [1.0, SMALLEST_P_VALUE] == repeated_p_values([0.0, 30.0], [0.5, 1.0]).tolist()


def test_repeated_intervals_exclude_no_effect_just_where_the_test_rejects():
    """Estimate plus and minus the critical value in standard errors."""
    bounds = critical_values([0.5, 1.0])
    errors = np.array([2.0, 1.0])
    low, high = repeated_confidence_intervals(bounds * errors, errors, bounds)

    assert pytest.approx([0.0, 0.0], abs=1e-12) == low
    assert pytest.approx(2 * bounds * errors) == high


def test_one_look_has_the_ordinary_p_value_and_interval():
    """Without earlier looks stagewise ordering is the fixed-sample analysis."""
    low, high = stagewise_interval([4.0], [1.96], 2.6)

    assert pytest.approx(norm.sf(2.6), rel=1e-9) == stagewise_p_value([4.0], [1.96], 2.6)
    assert pytest.approx([(2.6 - 1.959963985) / 2, (2.6 + 1.959963985) / 2], abs=1e-8) == [low, high]
    assert pytest.approx(1.3, abs=1e-8) == median_unbiased_drift([4.0], [1.96], 2.6)


def test_stopping_on_the_last_bound_has_alpha_as_p_value():
    """The stagewise p-value is at most alpha just where the test rejects."""
    bounds = critical_values(LOOKS, 0.025, 1)

    assert pytest.approx(0.025, abs=1e-9) == stagewise_p_value(LOOKS, bounds, bounds[-1])
    assert stagewise_p_value(LOOKS[:2], bounds[:2], 4.0) < stagewise_p_value(LOOKS, bounds, 6.0)


def test_stopping_below_speaks_against_an_effect():
    """Beyond the lower bound the p-value is that of never having been above, and nearly 1."""
    bounds = critical_values(LOOKS, spending="pocock")
    p_value = stagewise_p_value(LOOKS[:2], bounds[:2], -4.0, -bounds[:2])
    above, below = exit_probabilities(LOOKS[:2], [bounds[0], -4.0], [-bounds[0], -4.0])

    assert pytest.approx(1.0 - below.sum()) == p_value == pytest.approx(above.sum())
    assert median_unbiased_drift(LOOKS[:2], bounds[:2], -4.0, -bounds[:2]) < -4.0


def test_stagewise_estimates_are_median_unbiased_and_cover():
    """Simulated to the stop, then estimated: half of the estimates lie below, 95 % of intervals cover."""
    looks = np.array([0.4, 1.0])
    bounds = critical_values(looks)
    steps = np.diff(looks, prepend=0.0)
    noise = np.random.default_rng(8).normal(size=(250, 2)) * np.sqrt(steps)
    paths = np.cumsum(noise + 3.0 * steps, axis=1) / np.sqrt(looks)
    below = covered = 0
    for path in paths:
        stop = 1 if abs(path[0]) > bounds[0] else 2
        stopped = looks[:stop], bounds[:stop], path[stop - 1], -bounds[:stop]
        low, high = stagewise_interval(*stopped)
        below += median_unbiased_drift(*stopped) < 3.0
        covered += low <= 3.0 <= high

    assert pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 250)) == below / 250
    assert pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 250)) == covered / 250


def test_an_early_stop_is_shrunk():
    """The plain estimate of a test that stopped early on Pocock bounds exaggerates."""
    bounds = critical_values(LOOKS, spending="pocock")
    z = float(bounds[1] + 0.05)

    assert median_unbiased_drift(LOOKS[:2], bounds[:2], z, -bounds[:2]) < z / np.sqrt(0.5) - 0.1


def test_uniform_under_no_effect():
    """Over a fine grid of outcomes, P(p <= u) = u: here at the u of each bound."""
    bounds = critical_values(LOOKS, 0.1, 1, "linear")
    above, _ = exit_probabilities(LOOKS, bounds)
    for look in range(4):
        p_value = stagewise_p_value(LOOKS[: look + 1], bounds[: look + 1], bounds[look])
        assert pytest.approx(above[: look + 1].sum(), abs=1e-10) == p_value


def test_inference_on_inputs_that_do_not_fit_is_refused():
    """Lengths, errors, sides, confidence."""
    with pytest.raises(ValueError, match="1 statistics for 2 looks"):
        repeated_p_values([2.0], [0.5, 1.0])
    with pytest.raises(ValueError, match="1 or 2 sides"):
        nominal_p_values([2.0], sides=0)
    with pytest.raises(ValueError, match="must be positive"):
        repeated_confidence_intervals([1.0], [0.0], [2.0])
    with pytest.raises(ValueError, match="differ in length"):
        repeated_confidence_intervals([1.0, 2.0], [1.0], [2.0])
    with pytest.raises(ValueError, match="confidence lies strictly"):
        stagewise_interval(equally_spaced(1), [2.0], 2.0, confidence=1.0)
