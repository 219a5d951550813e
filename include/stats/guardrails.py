"""Judging guardrails on requests: harm shown, harm ruled out, or neither yet.

*Harm is shown* by a test that is valid at any time (`failure_split`), Holm-adjusted over the guardrails
judged together, where the estimate lies beyond the margin besides: one may look as often as one likes.
*Harm is ruled out* where the upper limit of the harm lies below the margin, at a look that was planned;
each further look has half the error of the one before it, so that all of them together err with `ERROR` at
most. A latency quantile is held against control's by the requests slower than control's quantile and the
margin together.

Requests of one unit resemble each other: counts are divided by a design effect, estimated where failures are
many, and the largest there can be, every unit all or nothing, where they are few.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray

from include.contracts.guardrails import (
    Guardrail,
    GuardrailReason,
    GuardrailResult,
    GuardrailVerdict,
    Harm,
    RequestMetric,
)
from include.stats.failure_split import rate_p_value, split_p_value
from include.stats.intervals import Interval, difference_of_intervals
from include.stats.multiplicity import holm
from include.stats.proportions import wilson_limits
from include.stats.quantiles import MINIMUM_TAIL, difference_of_quantiles, quantile_interval
from include.stats.spending import Floats, probability

ERROR = 0.05
"""One-sided error of taking harm as large as the margin for ruled out, over all looks of one stage."""
LATENCY_QUANTILE = 0.99
MINIMUM_LATENCIES = ceil(MINIMUM_TAIL / (1.0 - LATENCY_QUANTILE) - 1e-9)
"""Requests without which that quantile is not estimated."""
MINIMUM_FAILURES = 10
"""Failures of both arms together from which on their clustering is estimated rather than feared."""


@dataclass(frozen=True)
class Tally:
    """Failures among requests, and how alike the requests of one unit are."""

    failures: int
    requests: int
    clustering: float = 1.0
    """Variance of the failure ratio over that of independent requests, as estimated."""
    largest_clustering: float = 1.0
    """The same if every unit were all or nothing: requests of a request's unit, on average."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not (0 <= self.failures <= self.requests and self.largest_clustering >= 1.0):
            raise ValueError(
                f"{self.failures} failures of {self.requests} requests, clustered {self.largest_clustering:g}"
            )

    @property
    def ratio(self) -> float:
        """Failures a request; 0 of none."""
        return self.failures / self.requests if self.requests else 0.0


@dataclass(frozen=True)
class VariantSample:
    """Requests of one variant, one number each, shape (requests,)."""

    units: NDArray[np.int64]
    """Code of each request's unit."""
    latencies: Floats
    """Seconds."""
    flags: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    """By ratio metric: whether the request counts."""
    breaker_open: int = 0
    """Requests that the gateway's breaker kept from the variant's version."""

    @property
    def requests(self) -> int:
        """How many there are."""
        return int(self.latencies.size)

    @cached_property
    def _per_unit(self) -> tuple[NDArray[np.int64], Floats]:
        _, codes, counts = np.unique(self.units, return_inverse=True, return_counts=True)
        return codes, counts.astype(np.float64)

    def tally(self, metric: str) -> Tally:
        """Return the counts of a ratio metric.

        Raises:
            KeyError: it was not measured.
        """
        return tallied(self.flags[metric], *self._per_unit)

    def slower_than(self, seconds: float) -> Tally:
        """Return the counts of requests slower than that."""
        return tallied(self.latencies > seconds, *self._per_unit)


def tallied(flags: NDArray[np.bool_], codes: NDArray[np.int64], counts: Floats) -> Tally:
    """Return the tally of flags.

    Args:
        flags: one a request.
        codes: place of each request's unit in `counts`.
        counts: requests of each unit.
    """
    requests = int(flags.size)
    if not requests:
        return Tally(0, 0)
    failed = np.bincount(codes, weights=flags, minlength=counts.size)
    ratio = float(failed.sum()) / requests
    largest = float(counts @ counts) / requests
    clustering = largest
    if 0.0 < ratio < 1.0:
        # The delta method's variance of a ratio over requests, over that of independent ones.
        residual = failed - ratio * counts
        clustering = float(residual @ residual) / (requests * ratio * (1.0 - ratio))
    return Tally(int(failed.sum()), requests, min(max(clustering, 1.0), largest), largest)


def judge_guardrails(
    guardrails: Sequence[Guardrail],
    control: VariantSample | None,
    treatment: VariantSample,
    *,
    alpha: float,
    looks: int = 0,
    accepted: Mapping[str, float] | None = None,
) -> tuple[GuardrailResult, ...]:
    """Judge all guardrails of a change together, in their order.

    Args:
        guardrails: what is watched; a metric that is none of `RequestMetric` has no figures here.
        control: the requests to compare with; None where there are none.
        treatment: those of the change.
        alpha: chance of showing harm where there is none, at any look, over all the guardrails.
        looks: decisions already taken on these requests that decided nothing.
        accepted: by metric, what is held against where there is no control.

    Raises:
        ValueError: an alpha outside (0, 1).
    """
    probability(alpha, "alpha")
    error = ERROR / 2.0 ** (looks + 1)
    found = [
        _judge(each, control, treatment, error, (accepted or {}).get(each.metric)) for each in guardrails
    ]
    return adjusted(found, alpha)


def adjusted(results: Sequence[GuardrailResult], alpha: float) -> tuple[GuardrailResult, ...]:
    """Hold p-values of no harm against alpha, adjusted for how many there are; harm shown is the verdict."""
    tested = {place: each.p_value for place, each in enumerate(results) if each.p_value is not None}
    if not tested:
        return tuple(results)
    values = dict(zip(tested, holm(list(tested.values())).tolist(), strict=True))
    return tuple(_held(each, values.get(place), alpha) for place, each in enumerate(results))


def judge_ratio(
    guardrail: Guardrail, control: Tally | None, treatment: Tally, error: float, accepted: float | None = None
) -> GuardrailResult:
    """Judge a ratio by counts; `p_value` is not adjusted yet.

    Args:
        guardrail: the metric and its margin.
        control: without the change; None holds the change against `accepted`.
        treatment: with it.
        error: one-sided error of ruling harm out.
        accepted: the ratio that is accepted where there is no control.
    """
    if control is None and accepted is None:
        return _unjudged(guardrail, GuardrailReason.NO_CONTROL, 0, treatment.requests)
    clustering = _clustering(control, treatment)
    if not treatment.requests or (control is not None and not control.requests):
        too_few = GuardrailReason.TOO_FEW_REQUESTS
        return _unjudged(guardrail, too_few, control.requests if control else 0, treatment.requests)
    change = _limits(treatment, clustering, error)
    if control is not None:
        other, requests = _limits(control, clustering, error), control.requests
        share = treatment.requests / (treatment.requests + requests)
        p_value = split_p_value(
            treatment.failures / clustering, (treatment.failures + control.failures) / clustering, share
        )
    else:
        bound = float(accepted or 0.0)
        other, requests = Interval(bound, bound, bound), 0
        p_value = rate_p_value(treatment.failures / clustering, treatment.requests / clustering, bound)
    harm = difference_of_intervals(other, change)
    return _result(guardrail, (other.value, change.value), harm, p_value, (requests, treatment.requests))


def judge_latency(
    guardrail: Guardrail,
    control: VariantSample | None,
    treatment: VariantSample,
    error: float,
    accepted: float | None = None,
) -> GuardrailResult:
    """Judge a latency quantile; `p_value` is not adjusted yet. Arguments as `judge_ratio` has them."""
    requests = control.requests if control is not None else 0
    if control is None and accepted is None:
        return _unjudged(guardrail, GuardrailReason.NO_CONTROL, 0, treatment.requests)
    if not treatment.requests or (control is not None and requests < MINIMUM_LATENCIES):
        return _unjudged(guardrail, GuardrailReason.TOO_FEW_REQUESTS, requests, treatment.requests)
    usual = _quantile(control.latencies) if control is not None else float(accepted or 0.0)
    slow = usual + guardrail.margin
    change = treatment.slower_than(slow)
    if control is not None:
        rest = control.slower_than(slow)
        clustering = _clustering(rest, change)
        share = treatment.requests / (treatment.requests + requests)
        p_value = split_p_value(
            change.failures / clustering, (change.failures + rest.failures) / clustering, share
        )
    else:
        clustering = _clustering(None, change)
        p_value = rate_p_value(
            change.failures / clustering, change.requests / clustering, 1.0 - LATENCY_QUANTILE
        )
    try:
        of_change = quantile_interval(
            treatment.latencies, treatment.units, LATENCY_QUANTILE, 1.0 - 2.0 * error
        )
        of_rest = (
            Interval(usual, usual, usual)
            if control is None
            else quantile_interval(control.latencies, control.units, LATENCY_QUANTILE, 1.0 - 2.0 * error)
        )
    except ValueError:
        value = _quantile(treatment.latencies) - usual
        result = _unjudged(guardrail, GuardrailReason.TOO_FEW_REQUESTS, requests, treatment.requests)
        figures = {"control": usual, "treatment": value + usual, "harm": value, "p_value": p_value}
        return result.model_copy(update=figures)
    harm = difference_of_quantiles(of_rest, of_change)
    return _result(guardrail, (of_rest.value, of_change.value), harm, p_value, (requests, treatment.requests))


def _judge(
    guardrail: Guardrail,
    control: VariantSample | None,
    treatment: VariantSample,
    error: float,
    accepted: float | None,
) -> GuardrailResult:
    if guardrail.metric == RequestMetric.LATENCY_P99:
        return judge_latency(guardrail, control, treatment, error, accepted)
    if guardrail.metric not in treatment.flags or guardrail.harmful is not Harm.INCREASE:
        requests = control.requests if control is not None else 0
        return _unjudged(guardrail, GuardrailReason.NO_FIGURES, requests, treatment.requests)
    of_control = control.tally(guardrail.metric) if control is not None else None
    return judge_ratio(guardrail, of_control, treatment.tally(guardrail.metric), error, accepted)


def _held(result: GuardrailResult, p_value: float | None, alpha: float) -> GuardrailResult:
    if p_value is None:
        return result
    known = result.model_copy(update={"p_value": p_value, "alpha": alpha})
    if p_value > alpha or result.harm is None or result.harm <= result.margin:
        return known
    shown = {"verdict": GuardrailVerdict.INFERIOR, "reason": GuardrailReason.HARM_SHOWN}
    return known.model_copy(update=shown)


def _result(
    guardrail: Guardrail,
    values: tuple[float, float],
    harm: Interval,
    p_value: float,
    requests: tuple[int, int],
) -> GuardrailResult:
    ruled_out = harm.high < guardrail.margin
    return GuardrailResult(
        metric=guardrail.metric,
        verdict=GuardrailVerdict.NON_INFERIOR if ruled_out else GuardrailVerdict.INCONCLUSIVE,
        reason=GuardrailReason.HARM_RULED_OUT if ruled_out else GuardrailReason.UNDECIDED,
        margin=guardrail.margin,
        control=values[0],
        treatment=values[1],
        harm_low=harm.low,
        harm=harm.value,
        harm_high=harm.high,
        p_value=p_value,
        control_requests=requests[0],
        treatment_requests=requests[1],
    )


def _unjudged(guardrail: Guardrail, reason: GuardrailReason, control: int, treatment: int) -> GuardrailResult:
    return GuardrailResult(
        metric=guardrail.metric,
        verdict=GuardrailVerdict.INCONCLUSIVE,
        reason=reason,
        margin=guardrail.margin,
        control_requests=control,
        treatment_requests=treatment,
    )


def _clustering(control: Tally | None, treatment: Tally) -> float:
    """Return the design effect that both arms' counts are divided by: that of the arm where it is larger."""
    arms = [arm for arm in (control, treatment) if arm is not None and arm.requests]
    enough = sum(arm.failures for arm in arms) >= MINIMUM_FAILURES
    known = [arm.clustering for arm in arms if enough and 0 < arm.failures < arm.requests]
    return max(known or [arm.largest_clustering for arm in arms], default=1.0)


def _limits(tally: Tally, clustering: float, error: float) -> Interval:
    return wilson_limits(tally.ratio, tally.requests / clustering, error)


def _quantile(latencies: Floats) -> float:
    return float(np.quantile(latencies, LATENCY_QUANTILE, method="inverted_cdf"))
