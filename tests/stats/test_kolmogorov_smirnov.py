import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.stats import ks_2samp

from include.stats.kolmogorov_smirnov import two_sample_ks

SAMPLE = some.lists(some.integers(-5, 5).map(float), min_size=2, max_size=60)


@given(SAMPLE, SAMPLE)
def test_it_equals_scipy_with_ties(reference, current):
    """Distance and p-value are scipy's to 1e-9, for small samples full of ties, too."""
    ours = two_sample_ks(np.sort(reference), np.sort(current))
    theirs = ks_2samp(current, reference, method="asymp")
    assert ours.distance == pytest.approx(theirs.statistic, abs=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.5])
def test_it_equals_scipy_at_a_hundred_thousand_rows(shift):
    """Where the effect is small and the p-value tiny."""
    dice = np.random.default_rng(3)
    reference, current = dice.normal(size=100_000), dice.normal(shift, size=80_000)
    ours = two_sample_ks(np.sort(reference), np.sort(current))
    theirs = ks_2samp(current, reference, method="asymp")
    assert ours.distance == pytest.approx(theirs.statistic, abs=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9, abs=1e-300)


@given(SAMPLE, SAMPLE)
def test_it_is_symmetric_and_bounded(reference, current):
    """Which sample is the reference does not matter."""
    there = two_sample_ks(np.sort(reference), np.sort(current))
    back = two_sample_ks(np.sort(current), np.sort(reference))
    assert there.distance == pytest.approx(back.distance)
    assert 0.0 <= there.distance <= 1.0
    assert 0.0 <= there.p_value <= 1.0


@settings(max_examples=30)
@given(SAMPLE, SAMPLE, some.floats(0.1, 1.0))
def test_fewer_independent_rows_say_less(reference, current, part):
    """The distance stays; what repeats itself makes no smaller p-value."""
    reference, current = np.sort(reference), np.sort(current)
    all_rows = two_sample_ks(reference, current)
    fewer = two_sample_ks(reference, current, independent=(part * len(reference), part * len(current)))
    assert all_rows.distance == fewer.distance
    assert fewer.p_value >= all_rows.p_value - 1e-12


def test_an_empty_sample_is_refused():
    """There is no distance to nothing."""
    with pytest.raises(ValueError, match="two samples are needed; got 0 and 1 rows"):
        two_sample_ks(np.array([]), np.array([1.0]))
