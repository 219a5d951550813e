"""Tests of sample ratio mismatch."""

import numpy as np
import pytest
from scipy.stats import binomtest, chi2

from include.stats.sample_ratio import sample_ratio_test, sequential_sample_ratio_test


def test_the_textbook_mismatch_is_found():
    """Kohavi, Tang & Xu (2020), chapter 3: 821,588 against 815,482 users of an even split, p = 1.8e-6."""
    result = sample_ratio_test([821_588, 815_482], [0.5, 0.5])

    assert 1.8e-6 == round(result.p_value, 7)
    assert result.mismatch
    assert (818_535.0, 818_535.0) == result.expected


def test_three_arms_are_pearsons():
    """Sum of squared gaps over expected, two degrees of freedom."""
    result = sample_ratio_test([480, 260, 260], [0.5, 0.25, 0.25])

    assert pytest.approx(chi2.sf(400 / 500 + 100 / 250 + 100 / 250, 2)) == result.p_value
    assert not result.mismatch


def test_few_units_are_judged_exactly():
    """Two arms, one with fewer than five expected: binomial."""
    assert binomtest(50, 53, 0.95).pvalue == sample_ratio_test([50, 3], [0.95, 0.05]).p_value
    assert 1.0 == sample_ratio_test([0, 0], [0.5, 0.5]).p_value


def test_false_alarms_keep_their_level():
    """4,000 seeded splits of 95 to 5 at alpha 0.01."""
    counts = np.random.default_rng(19).multinomial(5_000, [0.95, 0.05], 4_000)
    alarms = sum(sample_ratio_test(row.tolist(), [0.95, 0.05], 0.01).mismatch for row in counts)

    assert pytest.approx(0.01, abs=4 * np.sqrt(0.01 * 0.99 / 4_000)) == alarms / 4_000


def test_watching_all_the_time_keeps_the_level_only_with_the_sequential_test():
    """200 seeded experiments looked at 50 times each, alpha 0.05."""
    counts = np.cumsum(np.random.default_rng(20).multinomial(50, [0.5, 0.5], (200, 50)), axis=1)
    sequential = peeking = 0
    for experiment in counts:
        sequential += any(
            sequential_sample_ratio_test(row, [0.5, 0.5], 0.05).mismatch for row in experiment.tolist()
        )
        peeking += any(sample_ratio_test(row, [0.5, 0.5], 0.05).mismatch for row in experiment.tolist())

    assert sequential / 200 <= 0.05
    assert peeking / 200 > 0.2


def test_the_sequential_test_knows_uneven_shares():
    """95 to 5 as planned, and as if it had been planned the other way round."""
    assert 1.0 == sequential_sample_ratio_test([9_500, 500], [0.95, 0.05]).p_value
    assert sequential_sample_ratio_test([9_500, 500], [0.05, 0.95]).p_value < 1e-100
    assert not sequential_sample_ratio_test([10_050, 450], [0.955, 0.045]).mismatch


def test_the_sequential_p_value_is_an_inverse_bayes_factor():
    """One unit, two units: the Dirichlet predictive probabilities multiplied by hand."""
    first, second = 0.3 / 0.3, (1.0 + 0.3) / (1.0 + 1.0) / 0.3

    assert (
        pytest.approx(1 / (first * second))
        == sequential_sample_ratio_test([2, 0], [0.3, 0.7], units_to_notice=1.0).p_value
    )


def test_the_sequential_test_finds_a_mismatch():
    """Two per cent of treatment lost on the way, at 200,000 units."""
    assert sequential_sample_ratio_test([100_000, 98_000], [0.5, 0.5]).mismatch
    assert 1.0 == sequential_sample_ratio_test([0, 0], [0.5, 0.5]).p_value


@pytest.mark.parametrize("test", [sample_ratio_test, sequential_sample_ratio_test])
@pytest.mark.parametrize(
    ("observed", "shares", "reason"),
    [
        ([10], [1.0], "at least two"),
        ([10, 10], [1.0], "as many counts as shares"),
        ([10, -1], [0.5, 0.5], "not negative"),
        ([10, 10], [0.5, 0.6], "add up to 1"),
        ([10, 10], [1.0, 0.0], "positive"),
    ],
)
def test_arms_that_make_no_ratio_are_refused(test, observed, shares, reason):
    """By both tests alike."""
    with pytest.raises(ValueError, match=reason):
        test(observed, shares)


def test_too_few_units_for_many_arms_are_refused():
    """There is no silent approximation."""
    with pytest.raises(ValueError, match="too few for the chi-squared test"):
        sample_ratio_test([3, 3, 3], [0.4, 0.3, 0.3])
    with pytest.raises(ValueError, match="strength of the prior"):
        sequential_sample_ratio_test([3, 3], [0.5, 0.5], units_to_notice=0.0)
