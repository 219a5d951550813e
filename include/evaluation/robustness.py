"""Robustness: each input spoilt in a share of the rows; scores stay finite and the loss is bounded."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from include.adapters.onnx_model import Categorical, Numeric, OnnxModel, feature_arrays
from include.contracts.errors import ModelError
from include.contracts.model import Metric, RobustnessGate
from include.contracts.reports import (
    GateKind,
    GateReason,
    GateResult,
    Perturbation,
    ProbeOutcome,
    RobustnessProbe,
    Verdict,
)
from include.contracts.signatures import FeatureInput, FeatureKind, Signature
from include.evaluation.scored import Scored
from include.stats.metrics import weighted_metric

HUGE = 1e30
"""Stands for any number on a side the contract leaves open; float32 holds it."""
UNKNOWN = "\N{NULL}unknown"
"""A category no source holds."""

_EXTREME = frozenset({Perturbation.SMALLEST, Perturbation.LARGEST})
_FAILED = {ProbeOutcome.CRASHED: "the graph failed", ProbeOutcome.NOT_FINITE: "scores are not finite"}

Places = npt.NDArray[np.int64]


def perturbations(feature: FeatureInput) -> dict[Perturbation, float | str]:
    """Return what can reach the model at this input, and the value it then has.

    What the contract forbids is refused before the model, so it is not tried: a missing value of an input
    that is not nullable, a number beyond `minimum` or `maximum`.
    """
    is_category = feature.kind is FeatureKind.CATEGORICAL
    found: dict[Perturbation, float | str] = {}
    if feature.nullable:
        found[Perturbation.MISSING] = "" if is_category else np.nan
    if is_category:
        return found | {Perturbation.UNKNOWN_CATEGORY: UNKNOWN}
    return found | {
        Perturbation.SMALLEST: -HUGE if feature.minimum is None else feature.minimum,
        Perturbation.LARGEST: HUGE if feature.maximum is None else feature.maximum,
    }


def robustness_probes(
    candidate: Scored, model: OnnxModel, signature: Signature
) -> tuple[RobustnessProbe, ...]:
    """Spoil each input of the same share of rows, one at a time, and score them again."""
    gate = candidate.contract.gates.robustness
    count = max(1, round(gate.affected_share * len(candidate.rows)))
    dice = np.random.default_rng(candidate.contract.training.seed)
    places = np.sort(dice.choice(len(candidate.rows), count, replace=False))
    arrays = feature_arrays(candidate.rows.iloc[places], signature)
    return tuple(
        _probe(candidate, feature.name, perturbation, places, _scores(model, *spoilt))
        for feature, perturbation, spoilt in _spoilt(signature, arrays)
    )


def robustness_gate(gate: RobustnessGate, probes: tuple[RobustnessProbe, ...]) -> GateResult:
    """Ask that every score is finite and no probe costs more than its bound."""
    worst = max(probes, key=lambda probe: _severity(gate, probe))
    missed = [probe for probe in probes if _reason(gate, probe) is not GateReason.REACHED]
    return GateResult(
        kind=GateKind.ROBUSTNESS,
        metric="degradation",
        verdict=Verdict.FAIL if missed else Verdict.PASS,
        reason=_reason(gate, worst),
        subject=_name(worst),
        value=worst.degradation,
        bound=_bound(gate, worst),
        detail=(
            f"{len(missed)} of {len(probes)} probes missed; each spoils one input of {worst.affected_rows} "
            f"rows, scores must stay finite and {worst.metric} lose at most {gate.maximum_degradation:.0%} "
            f"({gate.maximum_degradation_extreme:.0%} by extreme values); "
            f"{'missed' if missed else 'worst'}: {'; '.join(map(_told, missed or [worst]))}"
        ),
    )


def _bound(gate: RobustnessGate, probe: RobustnessProbe) -> float:
    is_extreme = probe.perturbation in _EXTREME
    return gate.maximum_degradation_extreme if is_extreme else gate.maximum_degradation


def _severity(gate: RobustnessGate, probe: RobustnessProbe) -> tuple[bool, float]:
    """Return what orders probes: broken ones last, then by the part of their bound they use up."""
    return probe.degradation is None, (probe.degradation or 0.0) / _bound(gate, probe)


def _reason(gate: RobustnessGate, probe: RobustnessProbe) -> GateReason:
    if probe.degradation is None:
        return GateReason.CRASHED if probe.outcome is ProbeOutcome.CRASHED else GateReason.NOT_FINITE
    is_costly = probe.degradation > _bound(gate, probe)
    return GateReason.DEGRADES_TOO_MUCH if is_costly else GateReason.REACHED


def _spoilt(
    signature: Signature, arrays: tuple[Numeric, Categorical]
) -> Iterator[tuple[FeatureInput, Perturbation, tuple[Numeric, Categorical]]]:
    numeric, categorical = arrays
    for feature in signature.inputs:
        for perturbation, value in perturbations(feature).items():
            if feature.kind is FeatureKind.NUMERIC:
                numbers = numeric.copy()
                numbers[:, signature.numeric.index(feature.name)] = value
                yield feature, perturbation, (numbers, categorical)
            else:
                texts = categorical.copy()
                texts[:, signature.categorical.index(feature.name)] = value
                yield feature, perturbation, (numeric, texts)


def _scores(model: OnnxModel, numeric: Numeric, categorical: Categorical) -> npt.NDArray[np.float64] | None:
    """Return the scores, or None where the graph fails."""
    try:
        return model.predict_arrays(numeric, categorical).astype(np.float64)
    except ModelError:
        return None


def _probe(
    candidate: Scored,
    feature: str,
    perturbation: Perturbation,
    places: Places,
    scores: npt.NDArray[np.float64] | None,
) -> RobustnessProbe:
    metric = candidate.contract.gates.champion.metric
    outcome = _outcome(scores)
    value, degradation, change = None, None, None
    if scores is not None and outcome is ProbeOutcome.FINITE:
        value = _value(candidate, metric, places, scores)
        degradation = _degradation(metric, candidate.metrics[metric.value], value)
        change = float(np.abs(scores - candidate.scores[places]).mean())
    return RobustnessProbe(
        feature=feature,
        perturbation=perturbation,
        affected_rows=len(places),
        outcome=outcome,
        metric=metric.value,
        value=value,
        degradation=degradation,
        mean_score_change=change,
    )


def _outcome(scores: npt.NDArray[np.float64] | None) -> ProbeOutcome:
    if scores is None:
        return ProbeOutcome.CRASHED
    return ProbeOutcome.FINITE if np.isfinite(scores).all() else ProbeOutcome.NOT_FINITE


def _value(candidate: Scored, metric: Metric, places: Places, scores: npt.NDArray[np.float64]) -> float:
    mixed = candidate.scores.copy()
    mixed[places] = scores
    measure = weighted_metric(metric, candidate.contract.task, candidate.labels, mixed)
    return measure(np.ones(len(mixed)))


def _degradation(metric: Metric, clean: float, spoilt: float) -> float:
    loss = clean - spoilt if metric.larger_is_better else spoilt - clean
    return loss / (abs(clean) or 1.0)


def _name(probe: RobustnessProbe) -> str:
    return f"{probe.feature} {probe.perturbation.value.replace('_', ' ')}"


def _told(probe: RobustnessProbe) -> str:
    if probe.degradation is None:
        return f"{_name(probe)}: {_FAILED[probe.outcome]}"
    return f"{_name(probe)}: {probe.metric} {probe.value:.4f}, worse by {probe.degradation:.1%}"
