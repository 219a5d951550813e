"""Tests of guardrails judged on requests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contracts.guardrails import (
    Guardrail,
    GuardrailReason,
    GuardrailResult,
    GuardrailVerdict,
    RequestMetric,
)
from include.stats.guardrails import (
    MINIMUM_LATENCIES,
    Tally,
    VariantSample,
    adjusted,
    judge_guardrails,
    judge_ratio,
)
from include.stats.proportions import newcombe_interval
from include.stats.sufficient_statistics import Proportion

ERRORS = Guardrail(metric=RequestMetric.ERROR_RATIO, margin=0.02)
LATENCY = Guardrail(metric=RequestMetric.LATENCY_P99, margin=0.05)


def sample(requests: int, failures: int = 0, *, units: int | None = None, slow: int = 0) -> VariantSample:
    """Return requests of which the first fail and the last are slow, spread over units in turn."""
    latencies = np.full(requests, 0.01)
    latencies[requests - slow :] = 1.0
    flags = {RequestMetric.ERROR_RATIO.value: np.arange(requests) < failures}
    return VariantSample(np.arange(requests) % (units or requests), latencies, flags)


def judge_errors(control: VariantSample | None, treatment: VariantSample, looks: int = 0) -> GuardrailResult:
    """Judge errors alone."""
    (result,) = judge_guardrails([ERRORS], control, treatment, alpha=0.001, looks=looks)
    return result


def test_without_clustering_limits_are_newcombes() -> None:
    """One request a unit: the interval of two proportions, at the error of the first look."""
    result = judge_errors(sample(2_000, 20), sample(1_000, 12))
    expected = newcombe_interval(Proportion(20, 2_000), Proportion(12, 1_000), confidence=0.95)
    assert pytest.approx((expected.low, expected.value, expected.high)) == (
        result.harm_low,
        result.harm,
        result.harm_high,
    )
    assert (GuardrailVerdict.NON_INFERIOR, GuardrailReason.HARM_RULED_OUT) == (result.verdict, result.reason)


@pytest.mark.parametrize(
    ("control", "treatment", "verdict", "reason"),
    [
        (sample(2_000, 20), sample(100, 30), GuardrailVerdict.INFERIOR, GuardrailReason.HARM_SHOWN),
        (sample(2_000, 20), sample(100, 1), GuardrailVerdict.INCONCLUSIVE, GuardrailReason.UNDECIDED),
        # Beyond doubt worse, but within the margin: no reason to go back.
        (
            sample(400_000, 400),
            sample(400_000, 1_600),
            GuardrailVerdict.NON_INFERIOR,
            GuardrailReason.HARM_RULED_OUT,
        ),
        (sample(2_000), sample(0), GuardrailVerdict.INCONCLUSIVE, GuardrailReason.TOO_FEW_REQUESTS),
        (None, sample(2_000), GuardrailVerdict.INCONCLUSIVE, GuardrailReason.NO_CONTROL),
    ],
)
def test_verdicts(
    control: VariantSample | None,
    treatment: VariantSample,
    verdict: GuardrailVerdict,
    reason: GuardrailReason,
) -> None:
    """Harm shown, harm ruled out, or neither; nothing missing ever passes."""
    result = judge_errors(control, treatment)
    assert (verdict, reason) == (result.verdict, result.reason)


def test_a_metric_nobody_measured_does_not_pass() -> None:
    """It has no figures, and says so."""
    complaints = Guardrail(metric="complaint_ratio", margin=0.01)
    (result,) = judge_guardrails([complaints], sample(100), sample(100), alpha=0.01)
    assert (GuardrailVerdict.INCONCLUSIVE, GuardrailReason.NO_FIGURES) == (result.verdict, result.reason)


def test_without_failures_a_unit_is_worth_one_request() -> None:
    """A hundred thousand good requests of fifty units say little about the units not seen."""
    many, few = sample(100_000), sample(100_000, units=50)
    assert GuardrailVerdict.NON_INFERIOR is judge_errors(many, many).verdict
    assert GuardrailVerdict.INCONCLUSIVE is judge_errors(few, few).verdict


def test_units_that_fail_as_a_whole_are_not_many_failures() -> None:
    """Two units whose every request fails are two failures, not two hundred."""
    units = np.repeat(np.arange(100), 100)
    control = VariantSample(units, np.full(10_000, 0.01), {"error_ratio": units < 1})
    treatment = VariantSample(units, np.full(10_000, 0.01), {"error_ratio": units < 4})
    assert GuardrailVerdict.INCONCLUSIVE is judge_errors(control, treatment).verdict
    apart = judge_errors(sample(10_000, 100), sample(10_000, 400))
    assert GuardrailVerdict.INFERIOR is apart.verdict


def test_each_look_has_half_the_error_of_the_one_before() -> None:
    """A stage that was extended needs better evidence, so that all its looks err no more than one."""
    highs = [judge_errors(sample(2_000, 20), sample(1_000, 10), looks=looks).harm_high for looks in range(4)]
    assert sorted(highs) == highs
    assert highs[0] < highs[3]


def test_a_slower_tail_is_shown_and_an_equal_one_ruled_out() -> None:
    """Three of a hundred requests beyond control's p99 and the margin are harm; none are not."""
    (equal,) = judge_guardrails([LATENCY], sample(20_000), sample(5_000), alpha=0.001)
    assert GuardrailVerdict.NON_INFERIOR is equal.verdict
    (slow,) = judge_guardrails([LATENCY], sample(20_000), sample(5_000, slow=150), alpha=0.001)
    assert (GuardrailVerdict.INFERIOR, 0.01, 1.0) == (slow.verdict, slow.control, slow.treatment)
    (few,) = judge_guardrails([LATENCY], sample(20_000), sample(MINIMUM_LATENCIES - 1), alpha=0.001)
    assert (GuardrailVerdict.INCONCLUSIVE, GuardrailReason.TOO_FEW_REQUESTS) == (few.verdict, few.reason)


def test_a_tail_that_is_far_too_slow_shows_before_its_quantile_can_be_estimated() -> None:
    """Two hundred requests, half of them slow."""
    (slow,) = judge_guardrails([LATENCY], sample(20_000), sample(200, slow=100), alpha=0.001)
    assert GuardrailVerdict.INFERIOR is slow.verdict


def test_without_a_control_what_is_accepted_is_the_measure() -> None:
    """After the ramp nobody is left to compare with, but the objectives are."""
    accepted = {"error_ratio": 0.001, "latency_p99_seconds": 0.1}

    def verdicts(treatment: VariantSample) -> list[GuardrailVerdict]:
        judged = judge_guardrails([ERRORS, LATENCY], None, treatment, alpha=0.001, accepted=accepted)
        return [each.verdict for each in judged]

    assert [GuardrailVerdict.NON_INFERIOR] * 2 == verdicts(sample(5_000, 5))
    assert [GuardrailVerdict.INFERIOR] * 2 == verdicts(sample(5_000, 500, slow=500))


def test_guardrails_share_alpha() -> None:
    """A p-value between alpha over two and alpha shows nothing where two are judged (Holm)."""
    weak = judge_ratio(ERRORS, Tally(0, 100_000), Tally(3, 2_000), 0.025)
    alone, beside = (
        adjusted([weak, *[weak.model_copy(update={"p_value": 1.0})] * others], alpha=1.0)[0].p_value
        for others in (0, 1)
    )
    assert pytest.approx(min(1.0, 2.0 * alone)) == beside


@given(failures=st.integers(0, 200), more=st.integers(1, 100))
def test_more_failures_never_look_better(failures: int, more: int) -> None:
    """With one request a unit, every figure that counts against a change grows with its failures."""
    control = Tally(20, 2_000)
    fewer, worse = (judge_ratio(ERRORS, control, Tally(n, 500), 0.025) for n in (failures, failures + more))
    assert worse.harm_high > fewer.harm_high
    assert worse.p_value <= fewer.p_value or worse.harm < 0


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=60),
)
def test_clustering_lies_between_independence_and_all_or_nothing(
    requests: list[tuple[int, bool]],
) -> None:
    """And failures are counted as they are."""
    units, flags = np.array([unit for unit, _ in requests]), np.array([flag for _, flag in requests])
    counted = VariantSample(units, np.zeros(len(requests)), {"error_ratio": flags}).tally("error_ratio")
    assert (int(flags.sum()), len(requests)) == (counted.failures, counted.requests)
    assert 1.0 <= counted.clustering <= counted.largest_clustering
