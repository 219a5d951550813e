import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.stats import chi2_contingency

from include.stats.category_shift import (
    binned,
    category_shift,
    chance_index,
    quantile_bins,
    stability_index,
)

COUNTS = some.lists(
    some.tuples(some.integers(0, 500), some.integers(0, 500)), min_size=2, max_size=12
).filter(lambda pairs: all(sum(column) for column in zip(*pairs, strict=True)))


@given(COUNTS)
def test_the_index_equals_the_formula(pairs):
    """The sum of (q - p) ln(q / p), an empty share taken as 1e-4."""
    reference, current = (np.array(column, float) for column in zip(*pairs, strict=True))
    by_hand = 0.0
    for r, c in pairs:
        p, q = r / reference.sum() or 1e-4, c / current.sum() or 1e-4
        by_hand += (q - p) * np.log(q / p)
    assert stability_index(reference, current) == pytest.approx(by_hand, abs=1e-9)
    assert stability_index(reference, current) >= -1e-12


def test_the_test_is_scipys_where_nothing_is_rare():
    """Chi-squared of homogeneity, without a correction for continuity."""
    reference, current = [400, 300, 300], [90, 60, 50]
    theirs = chi2_contingency([reference, current], correction=False)
    ours = category_shift(reference, current)
    assert ours.chi_squared == pytest.approx(theirs.statistic, abs=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=1e-9)
    assert 2 == ours.degrees_of_freedom


def test_rare_categories_are_pooled():
    """Twenty categories of one row each are no evidence by themselves."""
    reference, current = [1_000] + [1] * 20, [100] + [0] * 20
    assert category_shift(reference, current).degrees_of_freedom <= 1


def test_only_one_category_says_nothing():
    """All rows alike in both samples: no degree of freedom is left."""
    shift = category_shift([50, 0], [20, 0])
    assert (0.0, 1.0, 0) == (shift.index, shift.p_value, shift.degrees_of_freedom)


def test_chance_explains_the_index_of_like_samples():
    """Between samples of one distribution the excess is 0 on average: the raw index is not."""
    dice = np.random.default_rng(5)
    shares = np.full(20, 0.05)
    found = [
        category_shift(dice.multinomial(5_000, shares), dice.multinomial(150, shares)) for _ in range(300)
    ]
    assert np.mean([each.index for each in found]) == pytest.approx(chance_index(20, 5_000, 150), rel=0.25)
    assert abs(np.mean([each.excess for each in found])) < 0.03
    assert 0.02 < np.mean([each.p_value < 0.05 for each in found]) < 0.09


@given(COUNTS, some.floats(0.05, 1.0))
def test_fewer_independent_rows_say_less(pairs, part):
    """Weighed down rows make neither p-value nor excess worse; the index stays."""
    reference, current = (np.array(column, float) for column in zip(*pairs, strict=True))
    whole = category_shift(reference, current)
    fewer = category_shift(reference, current, independent=(part * reference.sum(), part * current.sum()))
    assert whole.index == fewer.index
    assert fewer.excess <= whole.excess + 1e-12


def test_an_empty_sample_is_refused():
    """There is no shift from nothing."""
    with pytest.raises(ValueError, match="two samples of counts"):
        category_shift([0, 0], [1, 2])


@given(some.lists(some.floats(-100, 100), min_size=1, max_size=200), some.integers(2, 12))
def test_bins_hold_every_value_once(values, bins):
    """Whatever the ties, counts add up, and a bin is never asked for twice."""
    edges = quantile_bins(np.sort(values), bins)
    counts = binned(np.array(values), edges)
    assert len(values) == counts.sum()
    assert len(edges) + 1 == len(counts) <= bins


def test_bins_are_of_equal_mass():
    """Ten bins of a hundred different values hold ten each."""
    values = np.arange(100, dtype=float)
    assert [10] * 10 == binned(values, quantile_bins(values)).tolist()
