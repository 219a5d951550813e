"""The guardrails of an experiment, judged on its tables.

Harm is shown by tests that hold at any time, adjusted over all guardrails together (Holm); it is ruled out by
limits of which the k-th look has 6 / (pi k)^2 of the error, so that all looks together err with `ERROR` at
most.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

from include.contracts.experiment_plan import FAIRNESS, GuardrailPlan, MetricKind
from include.contracts.experiment_results import JudgedGuardrail
from include.contracts.experiments import Experiment
from include.contracts.guardrails import (
    Guardrail,
    GuardrailReason,
    GuardrailResult,
    GuardrailVerdict,
    Harm,
    RequestMetric,
)
from include.experiments.exposures import Exposed
from include.experiments.samples import UNKNOWN, Sample, arm_figures, proportion
from include.experiments.tallies import counted, latency
from include.stats.confidence_sequences import always_valid_p_values
from include.stats.guardrails import ERROR, Tally, adjusted, judge_ratio
from include.stats.intervals import Estimate
from include.stats.quantiles import difference_of_quantiles

_LEAST_FRACTION = 1e-6
_COUNTS = {RequestMetric.ERROR_RATIO: "failed", RequestMetric.FALLBACK_RATIO: "fell_back"}


@dataclass(frozen=True)
class UnitFigures:
    """What guardrails on units are judged by."""

    metrics: Mapping[str, Sample]
    """By metric of the contract."""
    slices: Mapping[str, Mapping[str, Sample]]
    """The primary metric, by slice and part."""
    harmful: Mapping[str, Harm]
    """By metric, the direction that is worse."""
    fraction: float
    """Information reached, as a share of the plan's."""


def judge(
    exposed: Exposed, experiment: Experiment, figures: Sequence[UnitFigures], looks: int
) -> tuple[tuple[JudgedGuardrail, ...], ...]:
    """Judge every guardrail of the plan for every treatment; fairness is judged in each part of its slice.

    Harm is adjusted over all guardrails of all treatments together, and ruled out with the error divided by
    the number of treatments.

    Args:
        exposed: the experiment's tables.
        experiment: says what is watched.
        figures: metrics of units, of each comparison.
        looks: looks there were before.
    """
    error = ERROR * 6.0 / (pi * (looks + 1)) ** 2 / len(figures)
    named = []
    for number, found in enumerate(figures, start=1):
        exposed.compare(number)
        named += [
            (number, guardrail.name, part, result)
            for guardrail in experiment.plan.guardrails
            for part, result in _judged(exposed, experiment, guardrail, found, error)
        ]
    results = adjusted([result for *_, result in named], experiment.plan.guardrail_alpha)
    judged = [
        (number, JudgedGuardrail(name=name, part=part, result=result))
        for (number, name, part, _), result in zip(named, results, strict=True)
    ]
    return tuple(
        tuple(each for number, each in judged if number == place) for place in range(1, len(figures) + 1)
    )


def _judged(
    exposed: Exposed, experiment: Experiment, plan: GuardrailPlan, figures: UnitFigures, error: float
) -> Iterator[tuple[str | None, GuardrailResult]]:
    if plan.metric == RequestMetric.LATENCY_P99:
        yield None, judge_latency(exposed, plan, error)
    elif plan.is_of_requests:
        arms = counted(exposed, _COUNTS[RequestMetric(plan.metric)])
        yield None, judge_ratio(_guardrail(plan), arms.control, arms.treatment, error)
    elif plan.metric == FAIRNESS:
        primary = experiment.plan.primary
        harmful = Harm.DECREASE if primary.direction == "increase" else Harm.INCREASE
        for part, sample in figures.slices[str(plan.slice)].items():
            if part != UNKNOWN:
                yield part, judge_units(plan, sample, harmful, figures.fraction, error)
    else:
        harmful = figures.harmful[plan.metric]
        yield None, judge_units(plan, figures.metrics[plan.metric], harmful, figures.fraction, error)


def judge_latency(exposed: Exposed, plan: GuardrailPlan, error: float) -> GuardrailResult:
    """Judge the latency's quantile; `p_value` is not adjusted yet.

    What is tested at any time is whether treatment has more requests slower than control's quantile and the
    margin together.
    """
    guardrail = _guardrail(plan)
    found = latency(exposed, 1.0 - 2.0 * error, plan.margin)
    if found is None:
        every = counted(exposed, "requests")
        return _unjudged(guardrail, every.control.requests, every.treatment.requests)
    tested = judge_ratio(guardrail, found.slow.control, found.slow.treatment, error)
    arms = found.quantiles
    harm = difference_of_quantiles(arms.control, arms.treatment)
    return tested.model_copy(
        update={
            **_said(ruled_out=harm.high < plan.margin),
            "control": arms.control.value,
            "treatment": arms.treatment.value,
            "harm_low": harm.low,
            "harm": harm.value,
            "harm_high": harm.high,
        }
    )


def judge_units(
    plan: GuardrailPlan, sample: Sample, harmful: Harm, fraction: float, error: float
) -> GuardrailResult:
    """Judge a metric of units; `p_value` is not adjusted yet.

    Args:
        plan: metric, margin and the fewest units.
        sample: the metric.
        harmful: the direction that is worse.
        fraction: information reached, as a share of the plan's; the test that holds at any time is sharpest
            where the plan ends.
        error: one-sided error of ruling harm out.
    """
    guardrail = _guardrail(plan)
    units = (sample.control.units, sample.treatment.units)
    if min(units) < plan.minimum_units:
        return _unjudged(guardrail, *units)
    if sample.kind is MetricKind.PROPORTION and (len(sample.stages) == 1 or _is_constant(sample)):
        return _judge_counts(guardrail, sample, harmful, error)
    effect = sample.effect
    if effect is None or effect.standard_error == 0.0:
        return _unjudged(guardrail, *units)
    signed = effect.value if harmful is Harm.INCREASE else -effect.value
    harm = Estimate(signed, effect.standard_error).interval(1.0 - 2.0 * error)
    sharpest = effect.standard_error * sqrt(min(max(fraction, _LEAST_FRACTION), 1.0))
    p_value = always_valid_p_values([signed], [effect.standard_error], sharpest)[0]
    return GuardrailResult(
        metric=plan.metric,
        margin=plan.margin,
        control=arm_figures(sample.kind, sample.control).value,
        treatment=arm_figures(sample.kind, sample.treatment).value,
        harm_low=harm.low,
        harm=harm.value,
        harm_high=harm.high,
        p_value=float(p_value) if signed > 0.0 else 1.0,
        control_requests=units[0],
        treatment_requests=units[1],
        **_said(ruled_out=harm.high < plan.margin),
    )


def _is_constant(sample: Sample) -> bool:
    """Say whether all units did the same: then stages have nothing to differ in, and may be added up."""
    everybody = proportion(sample.control + sample.treatment)
    return everybody.successes in {0, everybody.trials}


def _judge_counts(guardrail: Guardrail, sample: Sample, harmful: Harm, error: float) -> GuardrailResult:
    """Judge a share of units by counts, however few: what is worse is what is counted."""
    arms = proportion(sample.control), proportion(sample.treatment)
    if harmful is Harm.INCREASE:
        control, treatment = (Tally(arm.successes, arm.trials) for arm in arms)
        return judge_ratio(guardrail, control, treatment, error)
    control, treatment = (Tally(arm.trials - arm.successes, arm.trials) for arm in arms)
    result = judge_ratio(guardrail, control, treatment, error)
    return result.model_copy(update={"control": arms[0].share, "treatment": arms[1].share})


def _guardrail(plan: GuardrailPlan) -> Guardrail:
    return Guardrail(metric=plan.metric, margin=plan.margin)


def _said(*, ruled_out: bool) -> dict[str, Any]:
    if ruled_out:
        return {"verdict": GuardrailVerdict.NON_INFERIOR, "reason": GuardrailReason.HARM_RULED_OUT}
    return {"verdict": GuardrailVerdict.INCONCLUSIVE, "reason": GuardrailReason.UNDECIDED}


def _unjudged(guardrail: Guardrail, control: int, treatment: int) -> GuardrailResult:
    return GuardrailResult(
        metric=guardrail.metric,
        verdict=GuardrailVerdict.INCONCLUSIVE,
        reason=GuardrailReason.TOO_FEW_REQUESTS,
        margin=guardrail.margin,
        control_requests=control,
        treatment_requests=treatment,
    )
