"""Tests of the bounds of group-sequential tests."""

from time import process_time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm

from include.stats.boundary_crossing import NO_BOUND, crossing_probabilities, exit_probabilities
from include.stats.critical_values import (
    ErrorSpending,
    asymmetric_critical_values,
    critical_values,
    futility_bounds,
)
from include.stats.group_sequential_design import equally_spaced
from include.stats.spending import SPENDINGS, spent_alpha

# Printed to eight digits in rpact's own tests (test-f_design_group_sequential.R), all one-sided.
RPACT = [
    ([0.2, 0.4, 1.0], 0.03, "hwang_shih_decani", 0.0, [2.5121443, 2.4228747, 2.0280392]),
    ([0.2, 0.4, 1.0], 0.07, "hwang_shih_decani", -1.0, [2.364813, 2.1928805, 1.5660474]),
    ([0.3, 0.7, 1.0], 0.03, "power", 2.2, [2.8594012, 2.2435708, 1.9735737]),
    ([0.4, 0.75, 1.0], 0.13, "obrien_fleming", None, [2.1280732, 1.4368565, 1.2468994]),
    ([0.4, 0.75, 0.85, 1.0], 0.13, "obrien_fleming", None, [2.1280732, 1.4368565, 1.422873, 1.2970881]),
    ([0.4, 0.7], 0.025, "pocock", None, [2.223875, 2.3050796]),
]


@pytest.mark.parametrize(("fractions", "alpha", "spending", "parameter", "expected"), RPACT)
def test_one_sided_bounds_agree_with_rpact(fractions, alpha, spending, parameter, expected):
    """To 1e-6, for each family, at unequal looks, and for a plan still under way."""
    assert pytest.approx(expected, abs=1e-6) == critical_values(fractions, alpha, 1, spending, parameter)


def test_the_default_design_of_gsdesign_has_its_printed_bounds():
    """gsDesign(): Hwang-Shih-DeCani -4 at one-sided 0.025 prints 3.01, 2.55 and 2.00."""
    bounds = critical_values([1 / 3, 2 / 3, 1.0], 0.025, 1, "hwang_shih_decani", -4.0)

    assert [3.01, 2.55, 2.0] == np.round(bounds, 2).tolist()


def test_two_sided_bounds_agree_with_the_bivariate_normal():
    """Two looks, O'Brien-Fleming: solved here from SciPy's rectangle probability, half of alpha a side."""
    spent = spent_alpha([0.4, 1.0], 0.025)
    first = norm.isf(spent[0])
    law = multivariate_normal([0, 0], [[1, np.sqrt(0.4)], [np.sqrt(0.4), 1]])

    def missing(second):
        return 1.0 - law.cdf([first, second], lower_limit=[-first, -second]) - 0.05

    second = brentq(missing, 1.5, 3.0, xtol=1e-12)

    assert pytest.approx([first, second], abs=1e-7) == critical_values([0.4, 1.0])


@pytest.mark.parametrize("spending", SPENDINGS)
@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("fractions", [[1.0], [0.05, 0.06, 0.9, 1.0], [0.5, 0.5002, 1.0], equally_spaced(50)])
def test_exactly_alpha_is_spent(spending, sides, fractions):
    """Under no effect the bounds are crossed with the cumulative probability of the spending function."""
    bounds = critical_values(fractions, 0.05, sides, spending)
    above, below = exit_probabilities(fractions, bounds, -bounds if sides == 2 else None)

    assert pytest.approx(sides * spent_alpha(fractions, 0.05 / sides, spending), rel=1e-8) == np.cumsum(
        above + below
    )


@given(
    fractions=st.sets(st.integers(1, 400), min_size=1, max_size=30),
    alpha=st.floats(1e-6, 0.9),
    sides=st.sampled_from([1, 2]),
    spending=st.sampled_from(SPENDINGS),
)
@settings(max_examples=60, deadline=None)
@example(fractions={200, 201, 400}, alpha=0.6, sides=1, spending="linear")
@example(fractions={1, 25, 26, 400}, alpha=1e-12, sides=2, spending="obrien_fleming")
@example(fractions={200, 201, 400}, alpha=1e-6, sides=2, spending="pocock")
def test_whatever_the_looks_exactly_alpha_is_spent(fractions, alpha, sides, spending):
    """Looks a quarter of a per cent apart, bounds below 0, alphas of a millionth: no increment is missed."""
    looks = np.array(sorted(fractions)) / 400
    bounds = critical_values(looks, alpha, sides, spending)
    above, below = exit_probabilities(looks, bounds, -bounds if sides == 2 else None)

    assert pytest.approx(sides * spent_alpha(looks, alpha / sides, spending), rel=1e-9) == np.cumsum(
        above + below
    )


def test_later_looks_do_not_move_earlier_bounds():
    """Looks need not be planned: each bound depends on those before it only."""
    whole = critical_values([0.12, 0.5, 0.61, 1.0])

    assert whole[:2].tolist() == critical_values([0.12, 0.5]).tolist()
    assert whole[:3].tolist() == critical_values([0.12, 0.5, 0.61]).tolist()


@pytest.mark.parametrize("last", [0.85, 0.9, 1.0, 1.15, 1.6])
@pytest.mark.parametrize("spending", SPENDINGS)
def test_a_last_look_early_or_late_spends_exactly_alpha(last, spending):
    """Under- and over-running: spending time ends at 1, information wherever it got to."""
    information = [0.3, 0.7, last]
    bounds = critical_values([0.3, 0.7, 1.0], 0.05, 2, spending, information=information)
    above, below = crossing_probabilities(information, bounds, -bounds)

    assert pytest.approx(0.05, abs=1e-9) == (above + below).sum()


def test_only_the_ratios_of_information_matter():
    """Users, events or fractions: the unit of information cancels."""
    fractions = critical_values([0.3, 0.7, 1.0])

    assert pytest.approx(fractions, abs=1e-10) == critical_values(
        [0.3, 0.7, 1.0], information=[3e6, 7e6, 1e7]
    )


def test_each_side_may_spend_an_alpha_of_its_own():
    """Asymmetric bounds are crossed with the probability each side was given."""
    upper, lower = ErrorSpending(0.01, "pocock"), ErrorSpending(0.04)
    uppers, lowers = asymmetric_critical_values([0.2, 0.5, 1.0], upper, lower)
    above, below = exit_probabilities([0.2, 0.5, 1.0], uppers, lowers)

    assert pytest.approx(spent_alpha([0.2, 0.5, 1.0], 0.01, "pocock"), abs=1e-10) == np.cumsum(above)
    assert pytest.approx(spent_alpha([0.2, 0.5, 1.0], 0.04), abs=1e-10) == np.cumsum(below)


def test_futility_bounds_spend_beta_and_leave_the_upper_ones_alone():
    """Rpact x3: Kim-DeMets 2.2 and 3.2, power 0.66, shift 5.551371, as its tests print them."""
    upper = critical_values([0.3, 0.7, 1.0], 0.03, 1, "power", 2.2)
    lower = futility_bounds([0.3, 0.7, 1.0], upper, ErrorSpending(0.34, "power", 3.2), np.sqrt(5.551371))

    assert pytest.approx([-1.1558435, 0.72836893], abs=1e-6) == lower[:2]
    assert pytest.approx(upper[2], abs=1e-6) == lower[2]


def test_futility_never_passes_efficacy():
    """With far more drift than needed the beta to be spent is not there, and the bounds meet."""
    upper = critical_values([0.5, 1.0], 0.025, 1)
    lower = futility_bounds([0.5, 1.0], upper, ErrorSpending(0.2, "linear"), drift=12.0)

    assert upper.tolist() == lower.tolist()


def test_looks_too_early_to_spend_anything_never_reject():
    """A spending that rounds to zero gives a bound out of reach, and the later ones still spend alpha."""
    bounds = critical_values([1e-4, 0.5, 1.0])

    assert NO_BOUND == bounds[0]
    assert pytest.approx(critical_values([0.5, 1.0]), abs=1e-9) == bounds[1:]


def test_ten_looks_take_less_than_fifty_milliseconds():
    """Processor time of the best of five runs."""
    durations = []
    for _ in range(5):
        began = process_time()
        critical_values(equally_spaced(10))
        durations.append(process_time() - began)

    assert min(durations) < 0.05


def test_what_makes_no_test_is_refused():
    """Sides, lengths, alphas that add up to all, unknown spendings."""
    with pytest.raises(ValueError, match="1 or 2 sides, not 3"):
        critical_values([1.0], sides=3)
    with pytest.raises(ValueError, match="information is given for 1 looks, spending time for 2"):
        critical_values([0.5, 1.0], information=[1.0])
    with pytest.raises(ValueError, match="information must increase"):
        critical_values([0.5, 1.0], information=[2.0, 1.0])
    with pytest.raises(ValueError, match="must stay below 1"):
        asymmetric_critical_values([1.0], ErrorSpending(0.5), ErrorSpending(0.5))
    with pytest.raises(ValueError, match="unknown spending"):
        critical_values([1.0], spending="bonferroni")
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        critical_values([1.0], alpha=1.0, sides=1)
