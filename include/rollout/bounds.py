"""What a version is held against where no champion was ever beside it: the contract's objectives."""

from include.contracts.guardrails import RequestMetric
from include.contracts.model import Objectives
from include.contracts.releases import Release

OBJECTIVE = "objectives."
"""Begins the names under which a release keeps them among its thresholds."""


def accepted(objectives: Objectives) -> dict[str, float]:
    """Return the objectives by the metric of a guardrail."""
    missed = 1.0 - objectives.availability
    return {
        RequestMetric.ERROR_RATIO.value: missed,
        RequestMetric.FALLBACK_RATIO.value: missed,
        RequestMetric.LATENCY_P99.value: objectives.latency_p99_ms / 1000.0,
    }


def bounds_of(release: Release) -> dict[str, float]:
    """Return the same, as the release copied them when it opened."""
    return {
        name.removeprefix(OBJECTIVE): bound
        for name, bound in release.thresholds.items()
        if name.startswith(OBJECTIVE)
    }
