"""Tests of CUPED."""

import numpy as np
import pytest

from include.stats.cuped import cuped_difference
from include.stats.sufficient_statistics import JointMoments


def arms(draw, units, effect, correlation=0.8):
    """Return control and treatment with a covariate of the given correlation to the metric."""
    result = []
    for lift in (0.0, effect):
        before = draw.normal(size=units)
        metric = correlation * before + np.sqrt(1 - correlation**2) * draw.normal(size=units) + lift
        result.append(JointMoments.of(metric, before))
    return result


def test_variance_falls_by_the_squared_correlation():
    """Deng et al. (2013), equation 4: 0.8 takes out 64 %."""
    result = cuped_difference(*arms(np.random.default_rng(13), 100_000, 0.1))

    assert pytest.approx(0.64, abs=0.01) == result.variance_reduction_ratio
    assert pytest.approx(0.8, abs=0.01) == result.theta
    assert pytest.approx(0.1, abs=4 * result.adjusted.standard_error) == result.adjusted.value


def test_the_slope_does_not_see_the_effect():
    """A large effect leaves theta alone: it is estimated within the arms."""
    small, large = (
        cuped_difference(*arms(np.random.default_rng(14), 1_000, effect)) for effect in (0.0, 50.0)
    )

    assert pytest.approx(small.theta) == large.theta
    assert pytest.approx(small.adjusted.value + 50.0) == large.adjusted.value


def test_aa_experiments_alarm_at_their_level():
    """3,000 seeded A/A experiments, two-sided 5 %."""
    draw = np.random.default_rng(15)
    alarms = sum(abs(cuped_difference(*arms(draw, 200, 0.0)).adjusted.z) > 1.96 for _ in range(3_000))

    assert pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 3_000)) == alarms / 3_000


def test_a_constant_covariate_adjusts_nothing():
    """Without spread there is nothing to explain."""
    control = JointMoments.of([1.0, 2.0, 3.0], [5.0, 5.0, 5.0])
    treatment = JointMoments.of([2.0, 4.0, 3.0], [5.0, 5.0, 5.0])
    result = cuped_difference(control, treatment)

    assert result.unadjusted == result.adjusted
    assert (0.0, 0.0) == (result.theta, result.variance_reduction_ratio)


def test_stages_merge_before_adjusting():
    """Sufficient statistics of two days add up to those of both."""
    draw = np.random.default_rng(16)
    table = draw.normal(size=(4, 50))
    whole = cuped_difference(JointMoments.of(table[0], table[1]), JointMoments.of(table[2], table[3]))
    first = [JointMoments.of(table[i, :20], table[i + 1, :20]) for i in (0, 2)]
    second = [JointMoments.of(table[i, 20:], table[i + 1, 20:]) for i in (0, 2)]
    merged = cuped_difference(first[0] + second[0], first[1] + second[1])

    assert pytest.approx(whole.adjusted.value) == merged.adjusted.value
    assert pytest.approx(whole.adjusted.standard_error) == merged.adjusted.standard_error
