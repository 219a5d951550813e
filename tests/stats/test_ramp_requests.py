"""Tests of the requests a stage of a ramp takes, and of whole ramps simulated at just that many."""

import pytest

from include.contracts.guardrails import (
    DEFAULT_GUARDRAILS,
    Guardrail,
    RequestMetric,
)
from include.stats.guardrails import MINIMUM_LATENCIES
from include.stats.ramp_requests import needed_requests

ALPHA = 0.001


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5])
def test_wider_margins_take_fewer_requests(share: float) -> None:
    """And a latency quantile takes the requests without which it is not estimated, in both arms."""
    sizes = [
        needed_requests([Guardrail(metric="error_ratio", margin=margin, baseline=0.01)], share, ALPHA)
        for margin in (0.005, 0.01, 0.02)
    ]
    assert sorted(sizes, reverse=True) == sizes
    latency = Guardrail(metric=RequestMetric.LATENCY_P99, margin=0.05)
    assert needed_requests([latency], share, ALPHA) == MINIMUM_LATENCIES
    assert MINIMUM_LATENCIES * 3 == needed_requests([latency], 0.75, ALPHA)


def test_more_of_the_traffic_takes_more_requests() -> None:
    """The control shrinks as the share grows."""
    sizes = [needed_requests(DEFAULT_GUARDRAILS, share, ALPHA) for share in (0.05, 0.1, 0.25, 0.5)]
    assert sorted(sizes) == sizes


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_stage_without_a_control_has_no_such_number(share: float) -> None:
    """There is nobody to compare with."""
    with pytest.raises(ValueError, match="with a control"):
        needed_requests(DEFAULT_GUARDRAILS, share, ALPHA)
