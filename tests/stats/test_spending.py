"""Tests of alpha spending."""

from math import e, exp, log

import numpy as np
import pytest

from include.stats.spending import SPENDINGS, increasing_fractions, spending_fractions, spent_alpha


@pytest.mark.parametrize("spending", SPENDINGS)
@pytest.mark.parametrize("alpha", [0.001, 0.025, 0.05, 0.3])
def test_the_whole_of_alpha_is_spent_at_fraction_one(spending, alpha):
    """Spending grows and ends at exactly alpha."""
    spent = spent_alpha([0.1, 0.3, 0.55, 1.0], alpha, spending)

    assert np.all(np.diff(spent, prepend=0.0) > 0.0)
    assert pytest.approx(alpha, rel=1e-12) == spent[-1]


def test_obrien_fleming_has_half_of_alpha_inside():
    """Alpha 0.13 spends what rpact prints (tests/testthat/test-f_design_group_sequential.R, asOF, kMax 4)."""
    spent = spent_alpha([0.4, 0.75, 0.85, 1.0], 0.13)

    assert pytest.approx([0.016665509, 0.080406163, 0.10053322, 0.13], abs=1e-8) == spent


def test_pocock_spends_as_rpact_does():
    """Alpha 0.025 spends what rpact prints (asP, information rates 0.4 and 0.7)."""
    assert pytest.approx([0.013078429, 0.0197432], abs=1e-8) == spent_alpha([0.4, 0.7], 0.025, "pocock")
    assert pytest.approx(0.05 * log(1 + (e - 1) * 0.5)) == spent_alpha([0.5], 0.05, "pocock")[0]


def test_families_spend_as_rpact_does():
    """Kim-DeMets 2.2 at alpha 0.03 and Hwang-Shih-DeCani -1 at 0.07 spend what rpact prints (asKD, asHSD)."""
    power = spent_alpha([0.3, 0.7, 1.0], 0.03, "power", 2.2)
    family = spent_alpha([0.2, 0.4, 1.0], 0.07, "hwang_shih_decani", -1.0)

    assert pytest.approx([0.0021222083, 0.013687904, 0.03], abs=1e-8) == power
    assert pytest.approx([0.0090195874, 0.020036136, 0.07], abs=1e-8) == family


def test_gamma_zero_is_linear():
    """The Hwang-Shih-DeCani family passes through linear spending."""
    linear = spent_alpha([0.25, 1.0], 0.05, "linear")

    assert [0.0125, 0.05] == linear.tolist()
    assert linear.tolist() == spent_alpha([0.25, 1.0], 0.05, "hwang_shih_decani", 0.0).tolist()
    assert pytest.approx(linear, rel=1e-6) == spent_alpha([0.25, 1.0], 0.05, "hwang_shih_decani", 1e-8)


def test_the_families_default_to_shapes_like_obrien_fleming():
    """Without a parameter the exponent is 3 and gamma is -4."""
    assert pytest.approx(0.05 * 0.5**3) == spent_alpha([0.5], 0.05, "power")[0]
    assert (
        pytest.approx(0.05 * (1 - exp(2)) / (1 - exp(4))) == spent_alpha([0.5], 0.05, "hwang_shih_decani")[0]
    )


@pytest.mark.parametrize(
    ("fractions", "reason"),
    [
        ([], "at least one"),
        ([[0.5, 1.0]], "one number a look"),
        ([0.5, 0.5, 1.0], "increase strictly"),
        ([0.7, 0.3], "increase strictly"),
        ([0.0, 1.0], "positive"),
        ([-0.1, 1.0], "positive"),
        ([0.5, float("nan")], "finite"),
        ([0.5, 1.2], r"lie in \(0, 1\]"),
    ],
)
def test_fractions_that_do_not_increase_within_the_unit_interval_are_refused(fractions, reason):
    """The message says what is wrong with them."""
    with pytest.raises(ValueError, match=reason):
        spent_alpha(fractions, 0.05)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_alpha_outside_the_unit_interval_is_refused(alpha):
    """Neither 0 nor 1, nor nonsense."""
    with pytest.raises(ValueError, match="alpha lies strictly between 0 and 1"):
        spent_alpha([1.0], alpha)


def test_unknown_spendings_and_parameters_are_refused():
    """The message lists the choices."""
    with pytest.raises(
        ValueError, match="unknown spending 'haybittle'; choose one of obrien_fleming, pocock"
    ):
        spent_alpha([1.0], 0.05, "haybittle")
    with pytest.raises(ValueError, match="'pocock' has no parameter"):
        spent_alpha([1.0], 0.05, "pocock", 2.0)
    with pytest.raises(ValueError, match="exponent above 0"):
        spent_alpha([1.0], 0.05, "power", 0.0)
    with pytest.raises(ValueError, match=r"\[-40, 40\]"):
        spent_alpha([1.0], 0.05, "hwang_shih_decani", float("nan"))


def test_sums_of_equal_steps_may_end_a_rounding_error_above_one():
    """Ten steps of a tenth are accepted however they round."""
    assert 1.0 == increasing_fractions([0.5, 1.0 + 1e-12])[-1]


def test_a_final_look_spends_everything_whether_early_or_late():
    """Under- and over-running count as fraction 1; a look that is not final keeps its own."""
    assert [0.3, 1.0] == spending_fractions([30, 80], planned=100, final=True).tolist()
    assert [0.3, 1.0] == spending_fractions([30, 115], planned=100, final=True).tolist()
    assert [0.3, 0.8] == spending_fractions([30, 80], planned=100, final=False).tolist()


def test_looks_that_pass_the_plan_before_the_final_one_are_refused():
    """An interim look beyond the planned information has no spending time left."""
    with pytest.raises(ValueError, match=r"lie in \(0, 1\]"):
        spending_fractions([30, 115], planned=100, final=False)
    with pytest.raises(ValueError, match="increase strictly"):
        spending_fractions([100, 115], planned=100, final=True)
    with pytest.raises(ValueError, match="planned information is positive"):
        spending_fractions([1], planned=0, final=True)
