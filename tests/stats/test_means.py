"""Tests of means."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from include.stats.means import difference_of_means, mean
from include.stats.sufficient_statistics import Moments


def test_welch_agrees_with_scipy():
    """Unequal sizes and variances: p-value, interval, degrees of freedom."""
    draw = np.random.default_rng(6)
    control, treatment = draw.normal(1.0, 1.0, 12), draw.normal(2.0, 4.0, 40)
    effect = difference_of_means(Moments.of(control), Moments.of(treatment))
    reference = ttest_ind(treatment, control, equal_var=False)
    limits = reference.confidence_interval(0.9)

    assert pytest.approx(reference.pvalue) == effect.p_value()
    assert pytest.approx(reference.df) == effect.freedom
    assert pytest.approx((limits.low, limits.high)) == (effect.interval(0.9).low, effect.interval(0.9).high)


def test_one_mean():
    """Its standard error is s / sqrt(n)."""
    values = [1.0, 2.0, 3.0, 6.0]

    assert pytest.approx(np.std(values, ddof=1) / 2.0) == mean(Moments.of(values)).standard_error


def test_units_that_are_all_alike_have_no_spread():
    """The difference is known, its standard error is 0."""
    effect = difference_of_means(Moments.of([1.0, 1.0]), Moments.of([2.0, 2.0, 2.0]))

    assert (1.0, 0.0, 3.0) == (effect.value, effect.standard_error, effect.freedom)


def test_one_unit_is_not_enough():
    """A variance needs two."""
    with pytest.raises(ValueError, match="at least two units"):
        difference_of_means(Moments.of([1.0]), Moments.of([2.0, 3.0]))
