"""Tests of adjusted p-values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from include.stats.multiplicity import benjamini_hochberg, holm

P_VALUES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20)


def test_holm_steps_down():
    """Smallest times four, next times three, never falling back."""
    assert pytest.approx([0.03, 0.06, 0.06, 0.02]) == holm([0.01, 0.04, 0.03, 0.005])


@given(P_VALUES)
def test_holm_agrees_with_statsmodels(p_values):
    """In the order given."""
    assert pytest.approx(multipletests(p_values, method="holm")[1]) == holm(p_values)


@given(P_VALUES)
def test_benjamini_hochberg_agrees_with_statsmodels(p_values):
    """In the order given."""
    assert pytest.approx(multipletests(p_values, method="fdr_bh")[1]) == benjamini_hochberg(p_values)


@given(P_VALUES)
def test_adjusting_never_helps(p_values):
    """Adjusted p-values are no smaller, and at most 1; Holm's are the larger ones."""
    assert np.all(np.array(p_values) <= benjamini_hochberg(p_values) * (1 + 1e-12))
    assert np.all(benjamini_hochberg(p_values) <= holm(p_values) * (1 + 1e-12))
    assert np.all(holm(p_values) <= 1.0)


@pytest.mark.parametrize("p_values", [[], [-0.1], [1.1], [float("nan")], [[0.1]]])
@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_what_is_no_p_value_is_refused(adjust, p_values):
    """By both."""
    with pytest.raises(ValueError, match="p-value"):
        adjust(p_values)
