"""Tests of guardrails."""

import pytest
from scipy.stats import norm, ttest_ind_from_stats

from include.contracts.guardrails import GuardrailVerdict, Harm
from include.stats.intervals import Estimate, Interval
from include.stats.means import difference_of_means
from include.stats.noninferiority import guardrail_verdict, judge_guardrail
from include.stats.sufficient_statistics import Moments


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (-5.0, GuardrailVerdict.NON_INFERIOR),
        (0.0, GuardrailVerdict.NON_INFERIOR),
        (0.03, GuardrailVerdict.NON_INFERIOR),
        (0.05, GuardrailVerdict.INCONCLUSIVE),
        (2.0, GuardrailVerdict.INCONCLUSIVE),
        (3.95, GuardrailVerdict.INCONCLUSIVE),
        (3.97, GuardrailVerdict.INFERIOR),
    ],
)
def test_harm_is_judged_against_the_margin(value, verdict):
    """Standard error 1, margin 2: limits are 1.96 either side."""
    assert verdict is judge_guardrail(Estimate(value, 1.0), 2.0).verdict
    assert verdict is judge_guardrail(Estimate(-value, 1.0), 2.0, Harm.DECREASE).verdict


def test_a_significant_harm_within_the_margin_passes():
    """Non-inferiority is about size: a small harm known precisely is acceptable by the margin agreed."""
    guardrail = judge_guardrail(Estimate(0.5, 0.1), 1.0)

    assert GuardrailVerdict.NON_INFERIOR is guardrail.verdict
    assert guardrail.harm.low > 0.0


def test_the_p_value_agrees_with_the_verdict():
    """At the edge it is alpha; with few units it is Student's."""
    assert pytest.approx(0.025) == judge_guardrail(Estimate(2.0 - norm.isf(0.025), 1.0), 2.0).p_value
    effect = difference_of_means(Moments(5, 10.0, 8.0), Moments(7, 11.0, 20.0))
    shifted = ttest_ind_from_stats(
        11.0 - 3.0, (20.0 / 6) ** 0.5, 7, 10.0, (8.0 / 4) ** 0.5, 5, equal_var=False, alternative="less"
    )
    assert pytest.approx(shifted.pvalue) == judge_guardrail(effect, 3.0).p_value


def test_no_spread_is_judged_by_the_value():
    """Every unit alike: the harm is what it is."""
    assert (GuardrailVerdict.NON_INFERIOR, 0.0) == verdict_and_p(Estimate(0.0, 0.0))
    assert (GuardrailVerdict.INFERIOR, 1.0) == verdict_and_p(Estimate(3.0, 0.0))


def verdict_and_p(effect):
    """Return both for a margin of 2."""
    guardrail = judge_guardrail(effect, 2.0)
    return guardrail.verdict, guardrail.p_value


def test_limits_of_any_origin_can_be_judged():
    """Quantiles and sequences bring their own."""
    assert GuardrailVerdict.INCONCLUSIVE is guardrail_verdict(Interval(0.0, 1.0, 2.0), 2.0)
    assert GuardrailVerdict.NON_INFERIOR is guardrail_verdict(Interval(0.0, 1.0, 1.99), 2.0)


@pytest.mark.parametrize(
    ("margin", "alpha"), [(0.0, 0.025), (-1.0, 0.025), (float("inf"), 0.025), (1.0, 0.5), (1.0, 0.0)]
)
def test_margins_and_alphas_without_sense_are_refused(margin, alpha):
    """A margin of 0 can never be shown, and an alpha of a half is a coin."""
    with pytest.raises(ValueError, match=r"margin|alpha"):
        judge_guardrail(Estimate(0.0, 1.0), margin, alpha=alpha)
