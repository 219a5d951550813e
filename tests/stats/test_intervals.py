"""Tests of estimates and their intervals."""

import numpy as np
import pytest

from include.stats.intervals import (
    Estimate,
    Interval,
    difference,
    difference_of_intervals,
    relative_difference,
)


def test_normal_interval_and_p_value():
    """Ten per cent more than 1.96 standard errors."""
    estimate = Estimate(3.919927969, 2.0)

    assert pytest.approx((0.0, 7.839855938), abs=1e-8) == (estimate.interval().low, estimate.interval().high)
    assert pytest.approx(0.05, abs=1e-9) == estimate.p_value()
    assert pytest.approx(0.05, abs=1e-9) == Estimate(-3.919927969, 2.0).p_value()
    assert 0.25 == estimate.information


def test_few_degrees_of_freedom_widen_the_interval():
    """Student's t with 4 degrees of freedom: 2.776 standard errors (any table)."""
    assert 2.776 == round(Estimate(0.0, 1.0, 4.0).interval().high, 3)


def test_differences_add_variances():
    """Standard errors of 3 and 4 make 5."""
    assert Estimate(-1.0, 5.0) == difference(Estimate(2.0, 3.0), Estimate(1.0, 4.0))


def test_a_relative_difference_has_the_spread_of_simulated_quotients():
    """The delta method against 400,000 draws."""
    control, treatment = Estimate(10.0, 0.2), Estimate(11.0, 0.3)
    draw = np.random.default_rng(2)
    quotients = draw.normal(11.0, 0.3, 400_000) / draw.normal(10.0, 0.2, 400_000) - 1.0
    relative = relative_difference(control, treatment)

    assert pytest.approx(0.1) == relative.value
    assert pytest.approx(quotients.std(), rel=0.01) == relative.standard_error


def test_a_relative_difference_to_nothing_is_refused():
    """A baseline that may be 0 has no relative difference."""
    with pytest.raises(ValueError, match="compare the absolute difference"):
        relative_difference(Estimate(0.1, 0.05), Estimate(0.2, 0.05))


def test_intervals_differ_by_the_limits_that_face_each_other():
    """The lower limit comes from treatment's lower and control's upper side."""
    gap = difference_of_intervals(Interval(8.0, 10.0, 13.0), Interval(11.0, 15.0, 27.0))

    assert Interval(0.0, 5.0, 5.0 + np.hypot(12.0, 2.0)) == gap


def test_an_effect_without_spread_carries_no_information():
    """Every unit alike: no z, no p-value."""
    with pytest.raises(ValueError, match="no information"):
        Estimate(0.0, 0.0).p_value()


@pytest.mark.parametrize(
    "build",
    [
        lambda: Estimate(float("nan"), 1.0),
        lambda: Estimate(1.0, -1.0),
        lambda: Estimate(1.0, 1.0, 0.0),
        lambda: Interval(1.0, 0.0, 2.0),
        lambda: Estimate(0.0, 1.0).interval(0.0),
    ],
)
def test_figures_that_cannot_be_are_refused(build):
    """At construction, with the figure in the message."""
    with pytest.raises(ValueError, match=r"estimate needs|degrees|lie between|strictly between"):
        build()
