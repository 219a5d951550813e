"""Tests of proportions."""

from math import sqrt

import numpy as np
import pytest
from scipy.stats import binom, chi2_contingency, fisher_exact, norm

from include.stats.proportions import (
    difference_of_proportions,
    exact_z,
    has_enough_events,
    newcombe_interval,
    score_z,
    wilson_interval,
)
from include.stats.sufficient_statistics import Proportion

# Newcombe (1998) table II, method 10 (score, no continuity correction), 95 %, of first less second.
NEWCOMBE = [
    ((56, 70), (48, 80), 0.0524, 0.3339),
    ((9, 10), (3, 10), 0.1705, 0.8090),
    ((10, 10), (0, 20), 0.6791, 1.0000),
    ((10, 10), (0, 10), 0.6075, 1.0000),
]


@pytest.mark.parametrize(("first", "second", "low", "high"), NEWCOMBE)
def test_newcombe_intervals_are_those_he_printed(first, second, low, high):
    """To the four printed decimals."""
    interval = newcombe_interval(Proportion(*second), Proportion(*first))

    assert (low, high) == (round(interval.low, 4), round(interval.high, 4))


def test_at_the_sizes_of_an_experiment_newcombe_is_the_normal_interval():
    """Unpooled, to a fiftieth of its width."""
    arms = Proportion(50_120, 1_000_000), Proportion(1_510, 25_000)
    interval, normal = newcombe_interval(*arms, 0.99), difference_of_proportions(*arms).interval(0.99)

    assert pytest.approx((normal.low, normal.high), abs=0.02 * (normal.high - normal.low)) == (
        interval.low,
        interval.high,
    )


def test_wilson_contains_its_share_at_the_edges():
    """None and all of ten."""
    none, everyone = wilson_interval(Proportion(0, 10)), wilson_interval(Proportion(10, 10))

    assert (0.0, 0.0, 0.2775) == (none.low, none.value, round(none.high, 4))
    assert (0.7225, 1.0, 1.0) == (round(everyone.low, 4), everyone.value, everyone.high)


def test_the_score_statistic_squares_to_pearsons_chi_squared():
    """Without continuity correction."""
    table = [[30, 970], [55, 945]]
    z = score_z(Proportion(30, 1_000), Proportion(55, 1_000))

    assert pytest.approx(chi2_contingency(table, correction=False).statistic) == z**2
    assert z > 0.0 == score_z(Proportion(0, 10), Proportion(0, 20))


def test_the_unpooled_error_is_written_out():
    """Square root of p q / n of each arm."""
    effect = difference_of_proportions(Proportion(10, 100), Proportion(60, 200))

    assert pytest.approx(0.2) == effect.value
    assert pytest.approx(sqrt(0.1 * 0.9 / 100 + 0.3 * 0.7 / 200)) == effect.standard_error


@pytest.mark.parametrize(
    ("control", "treatment"), [((1, 50), (7, 50)), ((7, 50), (1, 60)), ((0, 30), (0, 30))]
)
def test_few_events_are_judged_exactly(control, treatment):
    """The z has Fisher's one-sided p-value, in the direction of the difference, and 0 for none."""
    z = exact_z(Proportion(*control), Proportion(*treatment))
    table = [[treatment[0], treatment[1] - treatment[0]], [control[0], control[1] - control[0]]]
    sides = [fisher_exact(table, alternative=side).pvalue for side in ("greater", "less")]

    assert pytest.approx(min(0.5, *sides)) == norm.sf(abs(z))
    assert np.sign(z) == np.sign(treatment[0] / treatment[1] - control[0] / control[1])


def test_exact_looks_at_few_events_keep_their_level_where_the_normal_does_not():
    """All pairs of counts at 4 expected events in 200 against 20 units, weighted by their probability."""
    exact = normal = 0.0
    for hits in range(26):
        for misses in range(12):
            chance = binom.pmf(hits, 200, 0.02) * binom.pmf(misses, 20, 0.02)
            control, treatment = Proportion(hits, 200), Proportion(misses, 20)
            exact += chance * (exact_z(control, treatment) > 2.5)
            normal += chance * (score_z(control, treatment) > 2.5)

    assert exact <= norm.sf(2.5) < 2 * norm.sf(2.5) < normal


def test_enough_events_are_wanted_in_both_arms_and_of_both_kinds():
    """Successes and failures, control and treatment."""
    plenty = Proportion(10, 20)

    assert has_enough_events(plenty, plenty)
    assert not has_enough_events(Proportion(9, 2_000), plenty)
    assert not has_enough_events(plenty, Proportion(1_995, 2_000))
    assert has_enough_events(Proportion(5, 100), plenty, minimum=5)


def test_arms_without_trials_are_refused():
    """There is no share of nothing."""
    with pytest.raises(ValueError, match="no trials"):
        newcombe_interval(Proportion(0, 0), Proportion(1, 2))
    with pytest.raises(ValueError, match="confidence"):
        wilson_interval(Proportion(1, 2), 1.0)
