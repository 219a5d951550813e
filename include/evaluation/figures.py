"""A report's figures under flat names, for experiment tracking."""

import re

from include.contracts.reports import EvaluationReport, Perturbation, SliceStatus

_FORBIDDEN = re.compile(r"[^\w.\- ]")
"""What a tracking server refuses in a name, and the colon, which marks what stands for it."""
_NO_VALUE = ":none:"
"""Told from every text: a text's own colons are written otherwise."""


def figures(report: EvaluationReport) -> dict[str, float]:
    """Return every figure of a report by a name such as `test_roc_auc`.

    A slice's is `slice.<view>.<column>.<value>.<metric>`, say `slice.people.age.65:2b:.brier`:
    a sign that a tracking server refuses is written as its code, here a plus, and no value as `:none:`.
    """
    return {
        **{f"test_{name}": value for name, value in report.metrics.items()},
        **{f"baseline_{name}": value for name, value in report.baseline_metrics.items()},
        **_against_champion(report),
        **{
            f"window_{number}_{name}": value
            for number, window in enumerate(report.windows, start=1)
            for name, value in window.metrics.items()
        },
        **_slices(report),
        **_calibration(report),
        **_robustness(report),
        **_serving(report),
        "gates_failed": float(len(report.failures)),
        "gates_not_measured": float(len(report.unmeasured)),
    }


def _against_champion(report: EvaluationReport) -> dict[str, float]:
    found = {f"champion_{name}": value for name, value in report.champion_metrics.items()}
    for each in report.comparisons:
        found[f"difference_{each.metric}"] = each.difference
        found[f"difference_{each.metric}_lower"] = each.lower
        found[f"difference_{each.metric}_upper"] = each.upper
    return found


def _slices(report: EvaluationReport) -> dict[str, float]:
    return {
        f"slice.{each.view}.{each.column}.{_part(each.value)}.{name}": value
        for each in report.slices
        if each.status is SliceStatus.JUDGED
        for name, value in {**each.metrics, "rows": float(each.rows)}.items()
    }


def _part(value: str | None) -> str:
    return _NO_VALUE if value is None else _FORBIDDEN.sub(lambda sign: f":{ord(sign[0]):x}:", value)


def _calibration(report: EvaluationReport) -> dict[str, float]:
    found = report.calibration
    if found is None:
        return {}
    return {
        "calibration_error": found.expected_calibration_error,
        "calibration_error_by_chance": found.expected_by_chance,
        "calibration_error_debiased": found.debiased_error,
    }


def _robustness(report: EvaluationReport) -> dict[str, float]:
    """Return the worst loss by what was done to the inputs."""
    found: dict[str, float] = {}
    for perturbation in Perturbation:
        losses = [
            each.degradation
            for each in report.robustness
            if each.perturbation is perturbation and each.degradation is not None
        ]
        if losses:
            found[f"degradation_{perturbation.value}"] = max(losses)
    return found


def _serving(report: EvaluationReport) -> dict[str, float]:
    found: dict[str, float] = {}
    if report.triton:
        for name in ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "rows_per_second"):
            found[f"triton_{name}"] = getattr(report.triton, name)
        found["triton_difference"] = report.triton.largest_difference
    if report.skew_replay:
        found["replay_rows"] = float(report.skew_replay.rows)
        found["replay_difference"] = report.skew_replay.largest_difference
        found["replay_differing_rows"] = float(report.skew_replay.differing_rows)
    return found
