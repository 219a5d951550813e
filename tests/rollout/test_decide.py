"""Decisions about a ramp, as a table: plan, place and evidence in, verdict and reason out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from include.contracts.guardrails import GuardrailVerdict
from include.contracts.measurements import Measurement, Monitor, Verdict
from include.contracts.ramps import SHADOW_PLACE, Ramp, RampReason, RampVerdict, RolloutPlan
from include.rollout.decide import Evidence, decide, pooled
from include.stats.guardrails import VariantSample

ENTERED = datetime(2026, 1, 1, tzinfo=UTC)
DUE = ENTERED + timedelta(hours=4)
PLAN = RolloutPlan.model_validate(
    {
        "shadow": {"hold": "1h", "minimum_requests": 100},
        "stages": [
            {"share": 0.05, "hold": "4h", "minimum_requests": 1_000},
            {"share": 1.0, "hold": "4h", "minimum_requests": 1_000},
        ],
        "bake": "20d",
        "patience": "2h",
        "guardrails": [
            {"metric": "error_ratio", "margin": 0.02, "baseline": 0.01},
            {"metric": "latency_p99_seconds", "margin": 0.05},
        ],
        "labels": [{"metric": "roc_auc", "minimum": 0.75}],
    }
)
FREE = RolloutPlan.model_validate({"stages": [{"share": 1.0, "hold": "0s"}], "bake": "0s"})


def sample(requests: int, failures: int = 0, slow: int = 0, breaker: int = 0) -> VariantSample:
    """Return requests of as many units, the first of which fail, the last of which are slow."""
    latencies = np.full(requests, 0.01)
    latencies[requests - slow :] = 1.0
    flags = {"error_ratio": np.arange(requests) < failures}
    return VariantSample(np.arange(requests), latencies, flags, breaker)


def ramp(place: int = 0, **changes: Any) -> Ramp:
    """Return a ramp at a place that is due at `DUE`."""
    fields = {"began_at": ENTERED, "entered_at": ENTERED, "due_at": DUE, "control_share": 0.05}
    return Ramp(place=place, **{**fields, **changes})


def measured(value: float | None, low: float | None, high: float | None, **changes: Any) -> Measurement:
    """Return what performance monitoring measured of the new version."""
    fields = {
        "model": "churn",
        "monitor": Monitor.PERFORMANCE,
        "subject": "score",
        "metric": "roc_auc",
        "window_start": ENTERED - timedelta(days=1),
        "window_end": ENTERED,
        "value": value,
        "low": low,
        "high": high,
        "n": 500,
        "verdict": Verdict.OK,
        "reason": "measured",
    }
    return Measurement.model_validate({**fields, **changes})


CONTROL = sample(20_000, 200)
GOOD = Evidence(sample(2_000, 20), CONTROL)
ERRING = Evidence(sample(200, 60), CONTROL)
KEPT = measured(0.8, 0.77, 0.83)


@pytest.mark.parametrize(
    ("state", "evidence", "later", "verdict", "reason"),
    [
        # Before the hold is over nothing is decided but harm.
        (ramp(), GOOD, -1, RampVerdict.WAIT, RampReason.NOT_DUE),
        (ramp(), Evidence(), -1, RampVerdict.WAIT, RampReason.NOT_DUE),
        (ramp(), ERRING, -1, RampVerdict.ROLLBACK, RampReason.GUARDRAIL_BREACHED),
        (ramp(paused_at=ENTERED), ERRING, -1, RampVerdict.ROLLBACK, RampReason.GUARDRAIL_BREACHED),
        (
            ramp(held=RampReason.TOO_FEW_REQUESTS),
            ERRING,
            0,
            RampVerdict.ROLLBACK,
            RampReason.GUARDRAIL_BREACHED,
        ),
        (
            ramp(),
            Evidence(sample(2_000, 20, breaker=3), CONTROL),
            -1,
            RampVerdict.ROLLBACK,
            RampReason.BREAKER_OPENED,
        ),
        # A breaker that is open for both is nobody's in particular.
        (
            ramp(),
            Evidence(sample(2_000, 20, breaker=3), sample(20_000, 200, breaker=40)),
            -1,
            RampVerdict.WAIT,
            RampReason.NOT_DUE,
        ),
        # Then every guardrail must be kept.
        (ramp(), GOOD, 0, RampVerdict.PROMOTE, RampReason.GUARDRAILS_KEPT),
        (ramp(), Evidence(sample(2_000, 60), CONTROL), 0, RampVerdict.HOLD, RampReason.GUARDRAIL_UNDECIDED),
        (ramp(), Evidence(sample(2_000, 20), None), 0, RampVerdict.HOLD, RampReason.FIGURES_MISSING),
        (ramp(), Evidence(problem="torn"), 0, RampVerdict.HOLD, RampReason.FIGURES_MISSING),
        (
            ramp(),
            Evidence(sample(2_000, 20), CONTROL, silent=("performance (silent)",)),
            0,
            RampVerdict.HOLD,
            RampReason.MONITOR_SILENT,
        ),
        # Requests that are too few are waited for, and then asked about.
        (ramp(), Evidence(sample(999, 9), CONTROL), 0, RampVerdict.WAIT, RampReason.GATHERING),
        (ramp(), Evidence(sample(999, 9), CONTROL), 2, RampVerdict.HOLD, RampReason.TOO_FEW_REQUESTS),
        (ramp(), Evidence(), 2, RampVerdict.HOLD, RampReason.TOO_FEW_REQUESTS),
        # Compressed times leave the requests what they are.
        (
            ramp(clock=0.01),
            Evidence(sample(999, 9), CONTROL),
            0.1,
            RampVerdict.HOLD,
            RampReason.TOO_FEW_REQUESTS,
        ),
        # A person was asked, or stopped it.
        (ramp(paused_at=ENTERED), GOOD, 9, RampVerdict.WAIT, RampReason.PAUSED),
        (ramp(held=RampReason.TOO_FEW_REQUESTS), GOOD, 9, RampVerdict.WAIT, RampReason.ASKED),
        (
            ramp(held=RampReason.TOO_FEW_REQUESTS, answer_by=DUE),
            GOOD,
            0,
            RampVerdict.ROLLBACK,
            RampReason.NOT_ANSWERED,
        ),
        # Nothing to go back to: a person is asked, once.
        (
            ramp(1, control_share=None),
            Evidence(sample(2_000, 900), has_way_back=False),
            -1,
            RampVerdict.HOLD,
            RampReason.GUARDRAIL_BREACHED,
        ),
        (
            ramp(1, control_share=None, held=RampReason.GUARDRAIL_BREACHED, answer_by=DUE),
            Evidence(sample(2_000, 900), has_way_back=False),
            9,
            RampVerdict.WAIT,
            RampReason.ASKED,
        ),
        # A shadow is not judged by its latency.
        (
            ramp(SHADOW_PLACE),
            Evidence(sample(2_000, 20, slow=1_000), CONTROL),
            0,
            RampVerdict.PROMOTE,
            RampReason.GUARDRAILS_KEPT,
        ),
        # The bake, by labels.
        (
            ramp(2),
            Evidence(sample(2_000, 20), CONTROL, labels=(KEPT,)),
            0,
            RampVerdict.PROMOTE,
            RampReason.GUARDRAILS_KEPT,
        ),
        (ramp(2), GOOD, 0, RampVerdict.HOLD, RampReason.LABELS_MISSING),
        (
            ramp(2),
            Evidence(sample(2_000, 20), CONTROL, labels=(measured(0.74, 0.7, 0.78),)),
            0,
            RampVerdict.HOLD,
            RampReason.LABELS_MISSING,
        ),
        (
            ramp(2),
            Evidence(sample(2_000, 20), CONTROL, labels=(measured(0.9, 0.8, 1.0, verdict=Verdict.TOO_FEW),)),
            0,
            RampVerdict.HOLD,
            RampReason.LABELS_MISSING,
        ),
        (
            ramp(2),
            Evidence(sample(2_000, 20), CONTROL, labels=(measured(0.6, 0.55, 0.65),)),
            -1,
            RampVerdict.ROLLBACK,
            RampReason.LABELS_MISSED,
        ),
    ],
)
def test_decisions(
    state: Ramp, evidence: Evidence, later: float, verdict: RampVerdict, reason: RampReason
) -> None:
    """At so many hours after the place was due."""
    bounds = {"error_ratio": 0.001, "latency_p99_seconds": 0.1}
    decision = decide(PLAN, state, evidence, bounds, DUE + timedelta(hours=later))
    assert (verdict, reason) == (decision.verdict, decision.reason), decision.detail


@pytest.mark.parametrize("place", [0, 1])
def test_a_plan_that_judges_nothing_goes_on_at_once(place: int) -> None:
    """All traffic at once, no bake: no request is waited for."""
    state = ramp(place, due_at=ENTERED, control_share=None)
    decision = decide(FREE, state, Evidence(), {}, ENTERED)
    assert (RampVerdict.PROMOTE, RampReason.NOTHING_TO_JUDGE) == (decision.verdict, decision.reason)


def test_figures_are_those_that_were_judged() -> None:
    """The guardrail that was breached tells its figures, in the decision and in one line."""
    decision = decide(PLAN, ramp(), ERRING, {}, ENTERED)
    errors, latency = decision.guardrails
    assert (GuardrailVerdict.INFERIOR, 0.3, 0.01) == (errors.verdict, errors.treatment, errors.control)
    assert GuardrailVerdict.INCONCLUSIVE is latency.verdict
    assert "5 %: error_ratio 0.3, control 0.01: worse by 0.29" in decision.detail
    assert 200 == decision.requests


def test_labels_are_judged_over_all_windows() -> None:
    """Rows weigh: a bad day of few rows among good ones misses nothing; errors shrink together."""
    found, rows = pooled((KEPT, measured(0.6, 0.5, 0.7, n=50), measured(0.8, 0.77, 0.83)), "roc_auc")
    assert (1_050, pytest.approx((500 * 1.6 + 50 * 0.6) / 1_050)) == (rows, found.value)
    assert pytest.approx((2 * 15**2 + 5**2) ** 0.5 / 1_050) == found.high - found.value
    assert (None, 0) == pooled((KEPT,), "brier")


def test_each_look_at_a_place_needs_better_evidence() -> None:
    """What just passed at the first look does not at the sixth."""
    evidence = Evidence(sample(2_000, 38), CONTROL)
    first, sixth = (decide(PLAN, ramp(looks=looks), evidence, {}, DUE).verdict for looks in (0, 5))
    assert (RampVerdict.PROMOTE, RampVerdict.HOLD) == (first, sixth)
