import numpy as np
import pytest
import torch

from include.training.preprocessing import fit_preprocessing, fit_vocabulary

DICE = np.random.default_rng(2)
SKEWED = DICE.lognormal(3, 1, 1_000)
EVEN = DICE.normal(5, 2, 1_000)
TRAIN = np.column_stack([SKEWED, EVEN]).astype(np.float32)


def test_numbers_are_standardised_and_the_skewed_one_logged():
    """Equal to numpy's own logarithm, mean and deviation over the training rows."""
    found = fit_preprocessing(TRAIN)(torch.from_numpy(TRAIN)).numpy()
    logged = np.log1p(TRAIN[:, 0].astype(float))
    even = TRAIN[:, 1].astype(float)
    expected = [(logged - logged.mean()) / logged.std(), (even - even.mean()) / even.std()]
    assert pytest.approx(np.column_stack(expected), abs=1e-5) == found[:, :2]


def test_a_missing_number_is_the_mean_and_a_flag():
    """NaN becomes 0 after standardising, and only its own flag is raised."""
    row = torch.tensor([[torch.nan, 5.0]])
    found = fit_preprocessing(TRAIN)(row)[0].tolist()
    assert (0.0, 1.0, 0.0) == (found[0], found[2], found[3])


def test_extreme_numbers_stay_finite():
    """Infinities and the largest float are cut."""
    found = fit_preprocessing(TRAIN)(torch.tensor([[torch.inf, -torch.inf], [3e38, -3e38]]))
    assert [[10.0, -10.0, 0.0, 0.0]] * 2 == found.tolist()


def test_constant_and_absent_columns_do_no_harm():
    """A column with one value, or none at all, yields zeros."""
    columns = np.column_stack([np.full(10, 3.0), np.full(10, np.nan)]).astype(np.float32)
    found = fit_preprocessing(columns)(torch.from_numpy(columns)).numpy()
    assert not found[:, :2].any()


def test_categories_get_sorted_codes_and_strangers_get_zero():
    """Unknown and missing categories share code 0; each column has its own vocabulary."""
    vocabulary = fit_vocabulary(np.array([["b", "x"], ["a", ""], ["b", "y"]], object))
    assert ((3, 3)) == vocabulary.sizes
    found = vocabulary.encode(np.array([["a", "y"], ["b", ""], ["x", "a"]], object))
    assert [[1, 2], [2, 0], [0, 0]] == found.tolist()
