"""Tests of exact boundary-crossing probabilities."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from include.stats.boundary_crossing import START, crossing_probabilities, exit_probabilities
from include.stats.group_sequential_design import equally_spaced

# Jennison & Turnbull (2000), Group Sequential Methods, tables 2.1 (Pocock, C_P) and 2.3 (O'Brien-Fleming,
# C_B), two-sided alpha 0.05, K equally spaced looks.
POCOCK = {2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413, 10: 2.555}
OBRIEN_FLEMING = {2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040, 10: 2.087}


def brownian(information):
    """Return the covariance of Z at several information levels."""
    levels = np.asarray(information)
    return np.sqrt(np.minimum.outer(levels, levels) / np.maximum.outer(levels, levels))


@pytest.mark.parametrize(("looks", "constant"), POCOCK.items())
def test_pocock_constants_keep_their_level(looks, constant):
    """A constant printed to three decimals is crossed with probability 0.05 to as many."""
    above, below = exit_probabilities(equally_spaced(looks), constant, -constant)

    assert pytest.approx(0.05, abs=2e-4) == (above + below).sum()


@pytest.mark.parametrize(("looks", "constant"), OBRIEN_FLEMING.items())
def test_obrien_fleming_constants_keep_their_level(looks, constant):
    """The same with bounds that fall with the square root of the fraction."""
    bounds = constant / np.sqrt(equally_spaced(looks))
    above, below = exit_probabilities(equally_spaced(looks), bounds, -bounds)

    assert pytest.approx(0.05, abs=2e-4) == (above + below).sum()


def test_one_sided_bounds_spend_what_rpact_prints():
    """Rpact's default design: bounds and cumulative alpha, solved to 1e-8 (its tests)."""
    above, below = exit_probabilities([1 / 3, 2 / 3, 1], [3.4710914, 2.4544323, 2.0040356])

    assert pytest.approx([0.00025917372, 0.0071600594, 0.02499999], abs=2e-8) == np.cumsum(above)
    assert [0.0, 0.0, 0.0] == below.tolist()


@pytest.mark.parametrize(("looks", "level"), [(1, 0.025), (2, 0.042), (4, 0.063), (10, 0.097), (20, 0.124)])
def test_naive_peeking_errs_as_published(looks, level):
    """1.96 at every look: the error of a side, as gsDesign prints it (inst/unitTests/runit.output.R)."""
    above, below = exit_probabilities(equally_spaced(looks), norm.isf(0.025), norm.ppf(0.025))

    assert level == round(above.sum(), 3)
    assert pytest.approx(above, rel=1e-9) == below


@pytest.mark.parametrize(
    "information", [[0.5, 1.0], [0.04, 1.0], [0.97, 1.0], [0.2, 0.55, 1.0], [1.0, 7.0, 7.5]]
)
@pytest.mark.parametrize("drift", [0.0, 1.3, -2.0])
def test_two_and_three_looks_agree_with_the_multivariate_normal(information, drift):
    """Crossing first at the last look is a rectangle probability, which SciPy computes on its own."""
    bounds = np.linspace(2.6, 2.0, len(information))
    above, below = crossing_probabilities(information, bounds, -0.7 * bounds, drift)
    law = multivariate_normal(drift * np.sqrt(information), brownian(information), abseps=1e-10, maxpts=10**6)
    stays = law.cdf(bounds, lower_limit=-0.7 * bounds)

    assert pytest.approx(1.0 - stays, abs=1e-7) == above.sum() + below.sum()


def test_looks_that_never_stop_are_as_if_they_had_not_been():
    """Infinite bounds leave a single look, whose probability is the normal tail."""
    above, below = exit_probabilities(equally_spaced(50), [np.inf] * 49 + [1.5], drift=0.4)

    assert pytest.approx(norm.sf(1.5 - 0.4), abs=1e-12) == above[-1]
    assert 0.0 == above[:-1].sum() + below.sum()


@pytest.mark.parametrize("closest", [1e-2, 1e-3, 2e-4])
def test_close_looks_stay_exact(closest):
    """A look just after another adds a sliver, found here by the bivariate normal."""
    information = [0.5, 0.5 + closest]
    above, below = exit_probabilities(information, 2.0, -2.0)
    stays = multivariate_normal([0, 0], brownian(information)).cdf([2.0, 2.0], lower_limit=[-2.0, -2.0])

    assert pytest.approx(1.0 - stays, abs=1e-8) == (above + below).sum()


def test_mirrored_bounds_and_drift_swap_sides():
    """Symmetry: turning everything round exchanges upper and lower."""
    above, below = exit_probabilities([0.2, 0.7, 1.0], [3.0, 2.5, 2.0], [-1.0, 0.0, 1.0], drift=1.7)
    mirrored_above, mirrored_below = exit_probabilities(
        [0.2, 0.7, 1.0], [1.0, 0.0, -1.0], [-3.0, -2.5, -2.0], -1.7
    )

    assert pytest.approx(above, abs=1e-12) == mirrored_below
    assert pytest.approx(below, abs=1e-12) == mirrored_above


def test_simulated_paths_cross_as_often_as_computed():
    """200,000 seeded random walks over unequal looks with drift, both bounds, each look."""
    information = np.array([0.1, 0.15, 0.5, 0.8, 1.0])
    upper, lower = np.array([3.0, 2.8, 2.4, 2.2, 2.0]), np.array([-2.0, -1.0, 0.0, 0.7, 1.5])
    steps = np.diff(information, prepend=0.0)
    noise = np.random.default_rng(20).normal(size=(200_000, 5)) * np.sqrt(steps)
    z = np.cumsum(noise + 1.5 * steps, axis=1) / np.sqrt(information)
    first = np.argmax((z > upper) | (z < lower) | (np.arange(5) == 4), axis=1)
    at_stop = z[np.arange(len(z)), first]
    seen_above = np.bincount(first[at_stop > upper[first]], minlength=5) / len(z)
    seen_below = np.bincount(first[at_stop < lower[first]], minlength=5) / len(z)
    above, below = exit_probabilities(information, upper, lower, 1.5)

    assert pytest.approx(above, abs=0.005) == seen_above
    assert pytest.approx(below, abs=0.005) == seen_below


def test_a_bound_is_where_its_probability_is():
    """Finding a bound undoes computing its probability, also far out in the tail."""
    density = START.advance(0.4, (-2.0, 2.5), 0.3, ahead=0.6)
    for probability in (1e-60, 1e-9, 0.01, 0.4, 0.9):
        assert pytest.approx(probability, rel=1e-9) == density.above(
            1.0, density.bound_above(1.0, probability, 0.3), 0.3
        )
        assert pytest.approx(probability, rel=1e-9) == density.below(
            1.0, density.bound_below(1.0, probability, 0.3), 0.3
        )


def test_a_probability_that_no_path_is_left_for_is_refused():
    """More cannot be spent than goes on."""
    with pytest.raises(ValueError, match="of the paths reach this look"):
        START.advance(0.4, (0.0, 0.1), 0.0, ahead=0.6).bound_above(1.0, 0.5, 0.0)


@pytest.mark.parametrize(
    ("upper", "lower", "reason"),
    [
        ([2.0, 2.0, 2.0], None, "upper: 3 bounds for 2 looks"),
        (2.0, [-2.0], "lower: 1 bounds for 2 looks"),
        ([2.0, 2.0], [-2.0, 2.5], "lower bound lies above"),
        ([2.0, float("nan")], None, "no number"),
    ],
)
def test_bounds_that_do_not_fit_are_refused(upper, lower, reason):
    """Length and order are checked before anything is computed."""
    with pytest.raises(ValueError, match=reason):
        exit_probabilities([0.5, 1.0], upper, lower)


def test_looks_that_cannot_be_told_apart_are_refused():
    """The message names the two looks."""
    with pytest.raises(ValueError, match=r"looks 1 and 2 are less than 0\.0001 of the information apart"):
        exit_probabilities([0.5, 0.500001, 1.0], 2.0)
