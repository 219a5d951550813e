"""Shapley values against what can be worked out by hand or by enumeration."""

from itertools import permutations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.stats.shapley import attribute


def scorer(function, row, background):
    """Return the score of mixtures of a row and background rows under a function of rows [n, d]."""
    row, background = np.asarray(row, float), np.asarray(background, float)
    return lambda taken, rows: function(np.where(taken, row, background[rows]))


def exact(function, row, background):
    """Return the Shapley values by going through every order and every background row."""
    row, background = np.asarray(row, float), np.asarray(background, float)
    values = np.zeros(len(row))
    for order in permutations(range(len(row))):
        mixed = background.copy()
        for feature in order:
            before = function(mixed).mean()
            mixed[:, feature] = row[feature]
            values[feature] += function(mixed).mean() - before
    return values / factorial(len(row))


def test_linear_model_has_its_textbook_values():
    """Of a linear model it is weight times distance from the mean (Lundberg and Lee 2017, corollary 1)."""
    weights, row, background = np.array([2.0, -1.0, 0.5]), [1.0, 2.0, 3.0], [[0.0, 0.0, 0.0], [2.0, 2.0, 2.0]]
    found = attribute(scorer(lambda x: x @ weights, row, background), 3, 2, seed=1, permutations=64)
    assert np.allclose(weights * (np.array(row) - 1.0), found.values, atol=1e-12)
    assert found.base == pytest.approx(1.5, abs=1e-12)


def test_interaction_is_shared():
    """Two inputs that only count together share what they do; one that never counts gets exactly nothing."""
    found = attribute(scorer(lambda x: x[:, 0] * x[:, 1], [1.0, 1.0, 9.0], [[0.0, 0.0, 0.0]]), 3, 1, seed=1)
    assert np.allclose([0.5, 0.5, 0.0], found.values, atol=1e-12)
    assert found.total == pytest.approx(1.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 5), st.integers(2, 20))
def test_values_add_up_to_the_score(seed, inputs, background, count):
    """Whatever the model and however few permutations: base and values add up to the explained score."""
    generator = np.random.default_rng(seed)
    row, rows = generator.normal(size=inputs), generator.normal(size=(background, inputs))
    weights = generator.normal(size=(inputs, 4))

    def network(x):
        return np.tanh(x @ weights).prod(axis=1) + np.sin(x).sum(axis=1)

    found = attribute(scorer(network, row, rows), inputs, background, seed=seed, permutations=count)
    assert found.total == pytest.approx(float(network(row[None, :])[0]), abs=1e-9)


def test_sampling_comes_close_to_enumeration():
    """Four inputs that interact: within four standard errors of all 24 orders gone through."""
    generator = np.random.default_rng(3)
    row, rows = generator.normal(size=4), generator.normal(size=(8, 4))

    def network(x):
        return 1 / (1 + np.exp(-(x[:, 0] * x[:, 1] + x[:, 2] - x[:, 3] ** 2)))

    found = attribute(scorer(network, row, rows), 4, 8, seed=5, permutations=800)
    assert (np.abs(found.values - exact(network, row, rows)) < 4 * found.errors + 1e-12).all()
    assert found.errors.max() < 0.01


@pytest.mark.parametrize(("inputs", "background", "count"), [(0, 1, 2), (1, 0, 2), (1, 1, 1)])
def test_nothing_to_explain_is_refused(inputs, background, count):
    """Without inputs, background or two permutations there are no values."""
    with pytest.raises(ValueError, match="at least 1 input, 1 background row and 2 permutations"):
        attribute(lambda _taken, rows: np.zeros(len(rows)), inputs, background, seed=1, permutations=count)
