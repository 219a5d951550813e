"""Tests of adjusted p-values."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.stats.multiplicity import benjamini_hochberg, holm

P_VALUES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20)


def test_holm_steps_down():
    """Smallest times four, next times three, never falling back."""
    assert pytest.approx([0.03, 0.06, 0.06, 0.02]) == holm([0.01, 0.04, 0.03, 0.005])


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6))
def test_holm_is_the_closure_of_bonferroni(p_values):
    """Adjusted: the largest Bonferroni p-value of all the sets of hypotheses that one belongs to."""
    indices = range(len(p_values))
    sets = [chosen for size in indices for chosen in combinations(indices, size + 1)]
    bonferroni = {chosen: min(1.0, len(chosen) * min(p_values[i] for i in chosen)) for chosen in sets}
    closed = [max(p for chosen, p in bonferroni.items() if i in chosen) for i in indices]

    assert pytest.approx(closed) == holm(p_values)


@given(P_VALUES, st.floats(0.001, 0.999))
def test_benjamini_hochberg_rejects_up_to_the_last_p_value_under_the_line(p_values, level):
    """At any level: the k smallest, for the largest k whose p-value is at most k / m of the level."""
    ordered = sorted(p_values)
    under = [k for k, p in enumerate(ordered, start=1) if p * len(p_values) / k <= level]
    adjusted = np.sort(benjamini_hochberg(p_values))
    near = np.isclose(adjusted, level, rtol=1e-9).any()

    assert near or max(under, default=0) == np.count_nonzero(adjusted <= level)


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
