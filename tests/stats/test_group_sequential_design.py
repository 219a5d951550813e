"""Tests of planned designs."""

import numpy as np
import pytest
from scipy.stats import norm

from include.stats.boundary_crossing import exit_probabilities
from include.stats.group_sequential_design import (
    drift_for_power,
    equally_spaced,
    expected_fraction,
    inflation_factor,
    plan_design,
)

# Jennison & Turnbull (2000) table 7.2, as gsDesign's tests print it (inst/unitTests/runit.output.R):
# two-sided alpha 0.05, power 0.8; largest and expected sizes at 0, 0.5, 1 and 1.5 times the effect, in % of
# the fixed sample: (looks, rho, largest, expected).
TABLE_7_2 = [
    (3, 1.0, 111.7, [109.9, 103.4, 81.2, 56.5]),
    (10, 2.0, 108.1, [106.6, 99.7, 76.2, 51.0]),
    (2, 3.0, 101.0, [100.7, 98.9, 89.5, 70.7]),
]


@pytest.mark.parametrize(("looks", "rho", "largest", "expected"), TABLE_7_2)
def test_the_power_family_costs_what_jennison_and_turnbull_print(looks, rho, largest, expected):
    """Inflation factor and expected sizes to the printed digit."""
    design = plan_design(equally_spaced(looks), 0.05, 2, 0.8, spending="power", parameter=rho)
    sizes = [
        100
        * design.inflation_factor
        * expected_fraction(design.fractions, design.upper, design.lower, share * design.drift)
        for share in (0.0, 0.5, 1.0, 1.5)
    ]

    assert largest == round(100 * design.inflation_factor, 1)
    assert expected == np.round(sizes, 1).tolist()


def test_a_one_sided_design_agrees_with_rpact():
    """Rpact y1: alpha 0.03, power 0.86, linear spending: shift, inflation, expected sizes to eight digits."""
    design = plan_design([0.2, 0.4, 1.0], 0.03, 1, 0.86, spending="hwang_shih_decani", parameter=0.0)

    assert pytest.approx(9.4594101, abs=1e-6) == design.drift**2
    assert pytest.approx(1.0788327, abs=1e-7) == design.inflation_factor
    assert (
        pytest.approx(0.83081135, abs=1e-7) == design.inflation_factor * design.expected_fraction_alternative
    )
    assert pytest.approx(1.0697705, abs=1e-7) == design.inflation_factor * design.expected_fraction_null


def test_a_design_with_futility_agrees_with_rpact():
    """Rpact y2: non-binding Hwang-Shih-DeCani -2 futility beside -1 efficacy, alpha 0.07, power 0.86."""
    design = plan_design(
        [0.2, 0.4, 1.0],
        0.07,
        1,
        0.86,
        spending="hwang_shih_decani",
        parameter=-1.0,
        futility="hwang_shih_decani",
        futility_parameter=-2.0,
    )
    power = np.cumsum(exit_probabilities(design.fractions, design.upper, design.lower, design.drift)[0])

    assert pytest.approx([-1.1063623, -0.35992439, 1.5660474], abs=1e-6) == list(design.lower)
    assert pytest.approx(7.1015942, abs=1e-6) == design.drift**2
    assert pytest.approx(1.0869177, abs=1e-7) == design.inflation_factor
    assert pytest.approx([0.12038953, 0.32895265, 0.86], abs=1e-7) == power
    assert (
        pytest.approx(0.82636428, abs=1e-7) == design.inflation_factor * design.expected_fraction_alternative
    )
    assert pytest.approx(0.79471657, abs=1e-7) == design.inflation_factor * design.expected_fraction_null


def test_the_default_design_of_gsdesign_is_found():
    """gsDesign() prints futility bounds -0.24, 0.94, 2.00 and a largest sample of 1.070 times a fixed one."""
    design = plan_design(
        equally_spaced(3),
        0.025,
        1,
        0.9,
        spending="hwang_shih_decani",
        parameter=-4.0,
        futility="hwang_shih_decani",
        futility_parameter=-2.0,
    )

    assert [-0.24, 0.94, 2.0] == np.round(design.lower, 2).tolist()
    assert design.upper[-1] == design.lower[-1]
    assert 1.070 == round(design.inflation_factor, 3)


def test_futility_bounds_are_not_binding():
    """Going on in spite of them costs no alpha: the efficacy bounds are those of a design without them."""
    plain = plan_design(equally_spaced(4), 0.025, 1, 0.9)
    futile = plan_design(equally_spaced(4), 0.025, 1, 0.9, futility="obrien_fleming")

    assert plain.upper == futile.upper
    assert plain.drift < futile.drift
    assert plain.expected_fraction_null > futile.expected_fraction_null


def test_one_look_is_the_fixed_sample_test():
    """Nothing is inflated, and the test stops at the end."""
    design = plan_design([1.0], 0.05, 2, 0.8)

    assert pytest.approx(norm.isf(0.025) + norm.ppf(0.8), abs=1e-8) == design.drift
    assert pytest.approx(1.0, abs=1e-8) == design.inflation_factor
    assert (1.0, 1.0) == (design.expected_fraction_null, design.expected_fraction_alternative)


@pytest.mark.parametrize("looks", [2, 5, 50])
def test_the_promised_power_is_reached_and_not_without_inflation(looks):
    """With the drift of the plan the upper bound is crossed with the power; with a fixed test's it is not."""
    design = plan_design(equally_spaced(looks), 0.05, 2, 0.9, spending="pocock")
    fixed = design.drift / np.sqrt(design.inflation_factor)

    assert pytest.approx(0.9, abs=1e-8) == exit_probabilities(*bounds(design), design.drift)[0].sum()
    assert exit_probabilities(*bounds(design), fixed)[0].sum() < 0.9 - 0.01


def bounds(design):
    """Return fractions, upper and lower bounds."""
    return design.fractions, design.upper, design.lower


def test_drift_for_power_undoes_the_exit_probabilities():
    """For bounds of any origin."""
    drift = drift_for_power([0.3, 1.0], [2.8, 2.0], power=0.95)

    assert pytest.approx(0.95, abs=1e-9) == exit_probabilities([0.3, 1.0], [2.8, 2.0], drift=drift)[0].sum()


def test_inflation_factor_is_that_of_the_plan():
    """The short form takes its arguments by position."""
    design = plan_design([0.5, 1.0], 0.1, 1, 0.7, spending="power", parameter=1.5)

    assert design.inflation_factor == inflation_factor([0.5, 1.0], 0.1, 1, 0.7, "power", 1.5)


def test_plans_that_cannot_be_kept_are_refused():
    """Each for its own reason."""
    with pytest.raises(ValueError, match=r"ends at information fraction 1, not 0\.9"):
        plan_design([0.5, 0.9])
    with pytest.raises(ValueError, match="power lies between"):
        plan_design([1.0], 0.05, 1, 0.04)
    with pytest.raises(ValueError, match="power lies between"):
        plan_design([1.0], power=1.0)
    with pytest.raises(ValueError, match="futility has a direction"):
        plan_design([0.5, 1.0], futility="pocock")
    with pytest.raises(ValueError, match="without any effect"):
        drift_for_power([1.0], [-3.0], power=0.8)
    with pytest.raises(ValueError, match="at least one look"):
        equally_spaced(0)
