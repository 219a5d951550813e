"""Gates: pure functions from figures to verdicts."""

from include.contracts.model import Baseline, ChampionGate, Threshold
from include.contracts.packages import PARITY_METRIC, PARITY_TOLERANCE
from include.contracts.reports import GateKind, GateReason, GateResult, Verdict
from include.stats.bootstrap import PairedDifference


def missed(threshold: Threshold, value: float) -> GateReason | None:
    """Say how a figure misses a bound, if it does; reaching it is enough, and what is no number misses it."""
    if threshold.minimum is not None:
        return None if value >= threshold.minimum else GateReason.BELOW_MINIMUM
    return None if value <= threshold.bound else GateReason.ABOVE_MAXIMUM


def threshold_gate(threshold: Threshold, metrics: dict[str, float], rows: int) -> GateResult:
    """Compare a metric with its bound."""
    name = threshold.metric.value
    value = metrics[name]
    reason = missed(threshold, value)
    return GateResult(
        kind=GateKind.THRESHOLD,
        metric=name,
        verdict=_verdict(reason is None),
        reason=reason or GateReason.REACHED,
        value=value,
        bound=threshold.bound,
        detail=f"{name} {value:.4f} on {rows} test rows; must be {threshold}",
    )


def baseline_gate(baseline: Baseline, value: float, baseline_value: float) -> GateResult:
    """Compare the candidate with the trivial rule; it must be better by the margin."""
    name = baseline.metric.value
    better = 1 if baseline.metric.larger_is_better else -1
    bound = baseline_value + better * baseline.margin
    is_better = better * (value - bound) >= 0
    return GateResult(
        kind=GateKind.BASELINE,
        metric=name,
        verdict=_verdict(is_better),
        reason=GateReason.REACHED if is_better else GateReason.NOT_BETTER_THAN_BASELINE,
        value=value,
        bound=bound,
        detail=(
            f"{name} {value:.4f}; {baseline.feature} alone gives {baseline_value:.4f}, "
            f"to be beaten by {baseline.margin:.4f}"
        ),
    )


def champion_gate(
    gate: ChampionGate,
    paired: PairedDifference,
    *,
    value: float,
    champion_value: float,
    champion: str,
    rows: int,
) -> GateResult:
    """Ask whether the candidate is shown not to be worse than the champion by more than the tolerance.

    A test of non-inferiority on the same rows: it passes where the one-sided 95 % limit of the paired
    bootstrap of (candidate - champion), turned so that more is better, is no lower than -tolerance.
    So too little data fails rather than passes, while a retrain passes that ranks nearly the same
    rows alike: its paired difference hardly varies, and for identical scores it is exactly 0.

    Args:
        gate: metric and tolerance.
        paired: candidate minus champion.
        value: the candidate's figure.
        champion_value: the champion's, on the same rows.
        champion: its version.
        rows: how many rows both scored.
    """
    name = gate.metric.value
    better = 1 if gate.metric.larger_is_better else -1
    worst = paired.lower if gate.metric.larger_is_better else -paired.upper
    is_shown = worst >= -gate.tolerance
    return GateResult(
        kind=GateKind.CHAMPION,
        metric=name,
        verdict=_verdict(is_shown),
        reason=GateReason.REACHED if is_shown else GateReason.NOT_SHOWN_AS_GOOD_AS_CHAMPION,
        value=value,
        bound=champion_value - better * gate.tolerance,
        detail=(
            f"{name} {value:.4f} against {champion_value:.4f} of champion {champion} on the same "
            f"{rows} rows: better by {better * paired.difference + 0.0:+.4f}, with {paired.confidence:.0%} "
            f"confidence by more than {worst:+.4f}; must be no lower than {-gate.tolerance:+.4f}"
        ),
    )


def no_champion(gate: ChampionGate) -> GateResult:
    """Return the result where there is no champion yet."""
    return GateResult(
        kind=GateKind.CHAMPION,
        metric=gate.metric.value,
        verdict=Verdict.NOT_APPLICABLE,
        reason=GateReason.NO_CHAMPION,
        value=None,
        bound=None,
        detail="no champion yet to compare with",
    )


def incomparable_champion(gate: ChampionGate, champion: str, hindrance: str) -> GateResult:
    """Return the result where the champion cannot be scored on the same rows; no evidence is no pass."""
    return GateResult(
        kind=GateKind.CHAMPION,
        metric=gate.metric.value,
        verdict=Verdict.FAIL,
        reason=GateReason.CHAMPION_NOT_COMPARABLE,
        value=None,
        bound=None,
        detail=f"champion {champion} cannot be compared: {hindrance}",
    )


def parity_gate(difference: float | None) -> GateResult:
    """Ask whether the packaged graph computes what was trained; a figure never taken is a failure."""
    taken = "was never measured" if difference is None else f"is {difference:.1e}"
    is_same = difference is not None and difference <= PARITY_TOLERANCE
    missed_by = GateReason.NEVER_MEASURED if difference is None else GateReason.OUTPUTS_DIFFER
    return GateResult(
        kind=GateKind.PARITY,
        metric=PARITY_METRIC,
        verdict=_verdict(is_same),
        reason=GateReason.REACHED if is_same else missed_by,
        value=difference,
        bound=PARITY_TOLERANCE,
        detail=(
            f"largest difference between the packaged graph and the trained network {taken}; "
            f"at most {PARITY_TOLERANCE:.0e}"
        ),
    )


def _verdict(reached: bool) -> Verdict:
    return Verdict.PASS if reached else Verdict.FAIL
