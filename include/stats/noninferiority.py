"""Guardrails: not whether a change differs, but whether worse than allowed can be ruled out."""

from dataclasses import dataclass
from math import inf

from include.contracts.guardrails import GuardrailVerdict, Harm
from include.stats.intervals import Estimate, Interval
from include.stats.spending import probability


@dataclass(frozen=True)
class NonInferiority:
    """A verdict with the figures behind it."""

    verdict: GuardrailVerdict
    harm: Interval
    """The harm (positive is worse) between its one-sided limits."""
    margin: float
    p_value: float
    """Of the hypothesis that the harm is at least the margin."""


def judge_guardrail(
    effect: Estimate, margin: float, harmful: Harm = Harm.INCREASE, alpha: float = 0.025
) -> NonInferiority:
    """Judge whether treatment less control stays within the margin of harm.

    Args:
        effect: treatment less control, in the unit of the margin.
        margin: harm that is still acceptable, above 0.
        harmful: the direction that is worse.
        alpha: one-sided error of either verdict.

    Raises:
        ValueError: a margin that is not positive and finite, or an alpha outside (0, 0.5).
    """
    harm, error = _one_sided(margin, alpha), effect.standard_error
    signed = effect.value if harmful is Harm.INCREASE else -effect.value
    estimate = Estimate(signed, error, effect.freedom)
    limits = estimate.interval(harm)
    p_value = float(signed >= margin) if error == 0.0 else estimate.lower_tail((signed - margin) / error)
    return NonInferiority(guardrail_verdict(limits, margin), limits, margin, p_value)


def guardrail_verdict(harm: Interval, margin: float) -> GuardrailVerdict:
    """Return the verdict for limits of the harm, however they were found (quantiles, Newcombe, sequences)."""
    if harm.high < margin:
        return GuardrailVerdict.NON_INFERIOR
    if harm.low > margin:
        return GuardrailVerdict.INFERIOR
    return GuardrailVerdict.INCONCLUSIVE


def _one_sided(margin: float, alpha: float) -> float:
    """Return the two-sided confidence whose limits each err with alpha."""
    if not 0.0 < margin < inf:
        raise ValueError(
            f"a margin is positive and finite, unlike {margin}; a margin of 0 can never be shown"
        )
    if not probability(alpha, "alpha") < 0.5:  # noqa: PLR2004 - both one-sided errors together
        raise ValueError(f"a one-sided alpha lies below 0.5, not at {alpha}")
    return 1.0 - 2.0 * alpha
