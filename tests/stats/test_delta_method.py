"""Tests of ratio metrics clustered on the unit."""

import numpy as np
import pytest

from include.stats.delta_method import difference_of_ratios, ratio, relative_difference_of_ratios
from include.stats.means import mean
from include.stats.sufficient_statistics import JointMoments, Moments


def clustered_arm(draw, units):
    """Return errors and requests a unit: 1 to 50 requests, alike within the unit."""
    requests = draw.integers(1, 51, units)
    return draw.binomial(requests, draw.beta(1, 9, units)), requests


def test_one_request_a_unit_is_a_mean():
    """Then the denominator does not vary, and the delta method is the ordinary standard error."""
    values = np.random.default_rng(9).normal(3.0, 1.0, 100)
    estimate = ratio(JointMoments.of(values, np.ones(100)))

    assert pytest.approx(mean(Moments.of(values)).standard_error) == estimate.standard_error
    assert pytest.approx(values.mean()) == estimate.value


def test_the_standard_error_is_that_of_repeated_samples():
    """3,000 samples of 400 units: their spread is what one sample claims."""
    draw = np.random.default_rng(10)
    estimates = [ratio(JointMoments.of(*clustered_arm(draw, 400))) for _ in range(3_000)]
    spread = np.std([estimate.value for estimate in estimates])

    assert pytest.approx(spread, rel=0.05) == np.mean([estimate.standard_error for estimate in estimates])


def test_a_request_level_test_lies_where_the_delta_method_does_not():
    """2,000 A/A experiments at 5 %: requests taken for independent raise several times as many alarms."""
    draw = np.random.default_rng(11)
    clustered = naive = 0
    for _ in range(2_000):
        arms = [clustered_arm(draw, 300) for _ in range(2)]
        effect = difference_of_ratios(*(JointMoments.of(*arm) for arm in arms))
        clustered += abs(effect.z) > 1.96
        shares = [errors.sum() / requests.sum() for errors, requests in arms]
        error = np.sqrt(sum(p * (1 - p) / arm[1].sum() for p, arm in zip(shares, arms, strict=True)))
        naive += abs(shares[1] - shares[0]) / error > 1.96

    assert pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 2_000)) == clustered / 2_000
    assert naive / 2_000 > 0.2


def test_relative_differences_divide_by_control():
    """Twice the ratio is a relative difference of 1."""
    draw = np.random.default_rng(12)
    errors, requests = clustered_arm(draw, 1_000)
    effect = relative_difference_of_ratios(
        JointMoments.of(errors, requests), JointMoments.of(2 * errors, requests)
    )

    assert pytest.approx(1.0) == effect.value


def test_ratios_without_a_denominator_are_refused():
    """No requests, or a single unit."""
    with pytest.raises(ValueError, match="denominator"):
        ratio(JointMoments.of([1.0, 2.0], [0.0, 0.0]))
    with pytest.raises(ValueError, match="at least two units"):
        ratio(JointMoments.of([1.0], [2.0]))
