"""Tests of effects pooled over the stages of a ramp."""

import numpy as np
import pytest

from include.stats.delta_method import difference_of_ratios
from include.stats.proportions import difference_of_proportions
from include.stats.stratified import Stage, pooled_effect
from include.stats.sufficient_statistics import JointMoments, Moments, Proportion


def test_a_ramp_over_days_of_unlike_rates_shows_no_effect_where_there_is_none():
    """Simpson's paradox: 5 % of a bad day, 50 % of a good one, and the same rates in both arms each day."""
    bad = Proportion(9_500, 95_000), Proportion(500, 5_000)
    good = Proportion(500, 50_000), Proportion(500, 50_000)
    pooled = pooled_effect([Stage.of_proportions(*bad), Stage.of_proportions(*good)])
    mixed = difference_of_proportions(bad[0] + good[0], bad[1] + good[1])

    assert 0.0 == pooled.value
    assert mixed.z < -30.0


def test_weights_are_effective_sizes():
    """Mantel-Haenszel risk difference, written out."""
    first, second = (Proportion(10, 100), Proportion(6, 20)), (Proportion(5, 50), Proportion(10, 50))
    weights = np.array([100 * 20 / 120, 50 * 50 / 100])
    pooled = pooled_effect([Stage.of_proportions(*first), Stage.of_proportions(*second)])

    assert pytest.approx(weights @ [0.2, 0.1] / weights.sum()) == pooled.value
    errors = [difference_of_proportions(*stage).standard_error for stage in (first, second)]
    assert pytest.approx(np.sqrt(((weights * errors) ** 2).sum()) / weights.sum()) == pooled.standard_error


def test_one_stage_is_its_own_pool():
    """For means and ratios alike."""
    draw = np.random.default_rng(17)
    x, y = draw.normal(5, 1, (2, 100)), draw.integers(1, 9, (2, 100))
    arms = [JointMoments.of(x[i], y[i]) for i in (0, 1)]
    effect, pooled = difference_of_ratios(*arms), pooled_effect([Stage.of_ratios(*arms)])

    assert pytest.approx((effect.value, effect.standard_error)) == (pooled.value, pooled.standard_error)
    means = Stage.of_means(Moments.of(x[0]), Moments.of(x[1]))
    assert (pytest.approx(50.0), pytest.approx(means.effect.value)) == (
        means.weight,
        pooled_effect([means]).value,
    )


def test_ramps_without_effect_alarm_at_their_level():
    """2,000 seeded ramps 5 -> 25 -> 50 % while the rate drifts: pooled holds 5 %, mixed does not."""
    draw = np.random.default_rng(18)
    pooled = mixed = 0
    for _ in range(2_000):
        stages = []
        for share, rate in ((0.05, 0.12), (0.25, 0.08), (0.5, 0.05)):
            units = int(2_000 * share)
            stages.append(tuple(Proportion(int(draw.binomial(n, rate)), n) for n in (2_000 - units, units)))
        pooled += abs(pooled_effect([Stage.of_proportions(*stage) for stage in stages]).z) > 1.96
        arms = [sum((stage[arm] for stage in stages[1:]), start=stages[0][arm]) for arm in (0, 1)]
        mixed += abs(difference_of_proportions(*arms).z) > 1.96

    assert pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 2_000)) == pooled / 2_000
    assert mixed / 2_000 > 0.5


def test_stages_without_units_are_refused():
    """An empty arm, or nothing to pool."""
    with pytest.raises(ValueError, match="no trials"):
        Stage.of_proportions(Proportion(1, 2), Proportion(0, 0))
    with pytest.raises(ValueError, match="positive weights"):
        pooled_effect([])
