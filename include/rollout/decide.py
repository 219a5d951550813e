"""What is to be done about a ramp: a pure function of its plan, its place, and the evidence at a moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import fsum, sqrt

from include.contracts.guardrails import GuardrailReason, GuardrailResult, GuardrailVerdict, RequestMetric
from include.contracts.measurements import Measurement, Verdict
from include.contracts.ramps import (
    SHADOW_PLACE,
    LabelBound,
    LabelResult,
    Ramp,
    RampDecision,
    RampReason,
    RampVerdict,
    RolloutPlan,
)
from include.stats.guardrails import VariantSample, judge_guardrails
from include.stats.intervals import Interval


@dataclass(frozen=True)
class Evidence:
    """What is known about the new version at a place."""

    treatment: VariantSample | None = None
    """Requests of the new version; None where nothing was logged."""
    control: VariantSample | None = None
    """Requests of the champion beside it, or of the last place that had one."""
    problem: str | None = None
    """Why the prediction log cannot be read."""
    silent: tuple[str, ...] = ()
    """Monitors that are silent or broken."""
    labels: tuple[Measurement, ...] = ()
    """What performance monitoring measured of the new version, window by window."""
    has_way_back: bool = True
    """Whether there is a version to go back to: a model's first release has none."""

    @property
    def requests(self) -> int:
        """Requests of the new version."""
        return self.treatment.requests if self.treatment is not None else 0


def decide(
    plan: RolloutPlan, ramp: Ramp, evidence: Evidence, accepted: Mapping[str, float], now: datetime
) -> RampDecision:
    """Decide at a moment of wall time.

    Harm that is shown goes back at once, paused or not; where there is no way back, a person is asked.
    Otherwise nothing is decided before the hold is over; then missing evidence asks a person, and only
    guardrails that are all kept go on.

    Args:
        plan: as the release copied it.
        ramp: where it stands.
        evidence: the requests of the present place.
        accepted: by metric, what is held against where no champion was ever beside the new version.
        now: wall time.
    """
    results = judged(plan, ramp, evidence, accepted)
    labels = judged_labels(plan, ramp, evidence)

    def decision(verdict: RampVerdict, reason: RampReason, detail: str) -> RampDecision:
        return RampDecision(
            verdict=verdict,
            reason=reason,
            place=ramp.place,
            detail=f"{plan.name_of(ramp.place)}: {detail}",
            requests=evidence.requests,
            guardrails=results,
            labels=labels,
        )

    for found in (
        _harm(ramp, evidence, results, labels),
        _waiting(ramp, evidence, now),
        _missing(plan, ramp, evidence, now),
        _undecided(results, labels),
    ):
        if found is not None:
            return decision(*found)
    if _is_free(plan, ramp.place):
        return decision(RampVerdict.PROMOTE, RampReason.NOTHING_TO_JUDGE, "the plan judges nothing here")
    kept = f"{evidence.requests:,} requests, all guardrails kept"
    return decision(RampVerdict.PROMOTE, RampReason.GUARDRAILS_KEPT, kept)


def judged(
    plan: RolloutPlan, ramp: Ramp, evidence: Evidence, accepted: Mapping[str, float]
) -> tuple[GuardrailResult, ...]:
    """Return what the guardrails say of the present place; nothing where it judges nothing."""
    if _is_free(plan, ramp.place) or evidence.treatment is None:
        return ()
    guardrails = plan.guardrails
    if ramp.place == SHADOW_PLACE:
        # A shadow's latency is that of a batch of its own, and is comparable with nobody's.
        guardrails = tuple(each for each in guardrails if each.metric != RequestMetric.LATENCY_P99)
    return judge_guardrails(
        guardrails,
        evidence.control,
        evidence.treatment,
        alpha=plan.alpha_per_place,
        looks=ramp.looks,
        accepted=accepted if ramp.control_share is None else None,
    )


def judged_labels(plan: RolloutPlan, ramp: Ramp, evidence: Evidence) -> tuple[LabelResult, ...]:
    """Return what labels say; only the bake is judged by them."""
    if ramp.place != plan.bake_place:
        return ()
    return tuple(_label(bound, pooled(evidence.labels, bound.metric)) for bound in plan.labels)


def pooled(measured: Sequence[Measurement], metric: str) -> tuple[Interval | None, int]:
    """Return a metric over all windows that were measured, weighted by their rows, and how many rows."""
    found = [
        (each.n, each.value, (each.high - each.low) / 2.0)
        for each in measured
        if each.metric == metric and each.verdict is not Verdict.TOO_FEW and each.n
        if each.value is not None and each.low is not None and each.high is not None
    ]
    rows = sum(n for n, _, _ in found)
    if not rows:
        return None, 0
    value = fsum(n * each for n, each, _ in found) / rows
    half = sqrt(fsum((n * each) ** 2 for n, _, each in found)) / rows
    return Interval(value - half, value, value + half), rows


def _label(bound: LabelBound, measured: tuple[Interval | None, int]) -> LabelResult:
    """Beyond the bound by its whole interval it is missed; by its value, or unmeasured, it holds."""
    known, rows = measured
    limit, sign = (bound.minimum, 1.0) if bound.minimum is not None else (bound.maximum or 0.0, -1.0)
    verdict = RampVerdict.HOLD
    if known is not None:
        best = known.high if sign > 0.0 else known.low
        if sign * known.value >= sign * limit:
            verdict = RampVerdict.PROMOTE
        elif sign * best < sign * limit:
            verdict = RampVerdict.ROLLBACK
    return LabelResult(
        metric=bound.metric,
        value=known.value if known is not None else None,
        low=known.low if known is not None else None,
        high=known.high if known is not None else None,
        bound=limit,
        n=rows,
        verdict=verdict,
    )


_Found = tuple[RampVerdict, RampReason, str] | None


def _harm(
    ramp: Ramp, evidence: Evidence, results: Sequence[GuardrailResult], labels: Sequence[LabelResult]
) -> _Found:
    found = _shown(evidence, results, labels)
    if found is None or evidence.has_way_back:
        return found
    if ramp.held is not None or ramp.paused_at is not None:
        return None
    return RampVerdict.HOLD, found[1], f"{found[2]}; there is no version to go back to"


def _shown(evidence: Evidence, results: Sequence[GuardrailResult], labels: Sequence[LabelResult]) -> _Found:
    treatment, control = evidence.treatment, evidence.control
    # Where the breaker of the version beside it is open, too, the trouble is not the new version's.
    if treatment is not None and treatment.breaker_open and control is not None and not control.breaker_open:
        detail = f"the breaker kept {treatment.breaker_open:,} of {treatment.requests:,} requests from it"
        return RampVerdict.ROLLBACK, RampReason.BREAKER_OPENED, detail
    breached = [each for each in results if each.verdict is GuardrailVerdict.INFERIOR]
    if breached:
        detail = "; ".join(map(told, breached))
        return RampVerdict.ROLLBACK, RampReason.GUARDRAIL_BREACHED, detail
    missed = [each for each in labels if each.verdict is RampVerdict.ROLLBACK]
    if missed:
        detail = "; ".join(f"{each.metric} {each.value:.4g}, bound {each.bound:.4g}" for each in missed)
        return RampVerdict.ROLLBACK, RampReason.LABELS_MISSED, detail
    return None


def _waiting(ramp: Ramp, evidence: Evidence, now: datetime) -> _Found:
    if ramp.paused_at is not None:
        return RampVerdict.WAIT, RampReason.PAUSED, f"paused at {ramp.paused_at:%Y-%m-%d %H:%M} UTC"
    if ramp.held is not None:
        if ramp.answer_by is not None and now >= ramp.answer_by and evidence.has_way_back:
            return RampVerdict.ROLLBACK, RampReason.NOT_ANSWERED, "nobody answered in time: no"
        return RampVerdict.WAIT, RampReason.ASKED, f"a person was asked: {ramp.held.value}"
    if now < ramp.due_at:
        return RampVerdict.WAIT, RampReason.NOT_DUE, f"until {ramp.due_at:%Y-%m-%d %H:%M:%S} UTC"
    return None


def _missing(plan: RolloutPlan, ramp: Ramp, evidence: Evidence, now: datetime) -> _Found:
    """Say what evidence is missing once the hold is over; requests are waited for, within patience."""
    if _is_free(plan, ramp.place):
        return None
    if evidence.problem is not None:
        return RampVerdict.HOLD, RampReason.FIGURES_MISSING, evidence.problem
    if evidence.silent:
        detail = f"silent or broken: {', '.join(evidence.silent)}"
        return RampVerdict.HOLD, RampReason.MONITOR_SILENT, detail
    least = plan.minimum_at(ramp.place)
    if evidence.requests < max(least, 1):
        detail = f"{evidence.requests:,} of {max(least, 1):,} requests"
        if now < ramp.due_at + plan.patience * ramp.clock:
            return RampVerdict.WAIT, RampReason.GATHERING, detail
        return RampVerdict.HOLD, RampReason.TOO_FEW_REQUESTS, detail
    return None


def _undecided(results: Sequence[GuardrailResult], labels: Sequence[LabelResult]) -> _Found:
    open_ones = [each for each in results if each.verdict is not GuardrailVerdict.NON_INFERIOR]
    if open_ones:
        unmeasured = {GuardrailReason.NO_FIGURES, GuardrailReason.NO_CONTROL}
        missing = any(each.reason in unmeasured for each in open_ones)
        reason = RampReason.FIGURES_MISSING if missing else RampReason.GUARDRAIL_UNDECIDED
        return RampVerdict.HOLD, reason, "; ".join(map(told, open_ones))
    unknown = [each for each in labels if each.verdict is RampVerdict.HOLD]
    if unknown:
        detail = "; ".join(f"{each.metric} {_figure(each.value)}, bound {each.bound:.4g}" for each in unknown)
        return RampVerdict.HOLD, RampReason.LABELS_MISSING, detail
    return None


def told(result: GuardrailResult) -> str:
    """Return a guardrail's figures for people: `error_ratio 0.031, control 0.01: worse by 0.021 (…)`."""
    if result.harm is None or result.harm_low is None or result.harm_high is None:
        return (
            f"{result.metric}: {result.reason.value} ({result.treatment_requests:,} requests, "
            f"{result.control_requests:,} of the control)"
        )
    return (
        f"{result.metric} {_figure(result.treatment)}, control {_figure(result.control)}: worse by "
        f"{result.harm:.4g} [{result.harm_low:.4g}, {result.harm_high:.4g}], margin {result.margin:g}, "
        f"{result.treatment_requests:,} requests"
    )


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def _is_free(plan: RolloutPlan, place: int) -> bool:
    """Say whether a place judges nothing: it neither holds nor asks for requests."""
    if plan.hold_at(place) or (place == plan.bake_place and plan.labels):
        return False
    return place == plan.bake_place or not plan.minimum_at(place)
