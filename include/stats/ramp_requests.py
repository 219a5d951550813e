"""How many requests a stage of a ramp takes, so that what it promises is found: derived, never guessed.

At that many, a change that does no harm passes, and one whose harm is twice the margin is rolled back, each
with the probability `POWER` at least, at the stage's one planned look: failures are put at the quantile
that each arm exceeds, or stays below, with half of what is left, so that both together err no more often.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import ceil

from scipy.special import ndtri
from scipy.stats import binom

from include.contracts.guardrails import Guardrail, GuardrailVerdict, RequestMetric
from include.stats.guardrails import ERROR, MINIMUM_LATENCIES, Tally, judge_ratio

POWER = 0.995
_TAIL = (1.0 - POWER) / 2.0
_MOST = 10**9


def needed_requests(guardrails: Sequence[Guardrail], share: float, alpha: float) -> int:
    """Return the fewest requests of the change at which a stage can be judged by all its guardrails.

    Requests are taken for independent; where those of a unit are alike, a stage needs more, and says so
    when it is judged.

    Args:
        guardrails: what the stage is watched by; a ratio needs its `baseline`.
        share: the change's share of the requests, in (0, 1).
        alpha: chance of showing harm where there is none, in the stage.

    Raises:
        ValueError: a share outside (0, 1), or a margin no number of requests can show.
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"a stage with a control has a share within (0, 1), not {share}")
    each_alpha = alpha / max(len(guardrails), 1)
    return max((_needed(each, share, each_alpha) for each in guardrails), default=0)


@lru_cache(maxsize=256)
def _needed(guardrail: Guardrail, share: float, alpha: float) -> int:
    if guardrail.metric == RequestMetric.LATENCY_P99:
        return ceil(MINIMUM_LATENCIES / min(1.0, (1.0 - share) / share))
    if guardrail.baseline is None:
        return 0

    def shown(requests: int) -> bool:
        return _passes(guardrail, share, requests) and _is_caught(guardrail, share, requests, alpha)

    return _first(shown, start=_about(guardrail, share))


def _passes(guardrail: Guardrail, share: float, requests: int) -> bool:
    """Say whether a harmless change passes even where it was unlucky and the control lucky."""
    usual, rest = guardrail.baseline or 0.0, _rest(requests, share)
    change = Tally(int(binom.isf(_TAIL, requests, usual)), requests)
    control = Tally(int(binom.ppf(_TAIL, rest, usual)), rest)
    judged = judge_ratio(guardrail, control, change, ERROR / 2.0)
    return judged.verdict is GuardrailVerdict.NON_INFERIOR


def _is_caught(guardrail: Guardrail, share: float, requests: int, alpha: float) -> bool:
    """Say whether twice the accepted harm is shown even where the change was lucky and control was not."""
    usual, rest = guardrail.baseline or 0.0, _rest(requests, share)
    worse = min(usual + 2.0 * guardrail.margin, 1.0)
    change = Tally(int(binom.ppf(_TAIL, requests, worse)), requests)
    control = Tally(int(binom.isf(_TAIL, rest, usual)), rest)
    judged = judge_ratio(guardrail, control, change, ERROR / 2.0)
    return (judged.p_value or 0.0) <= alpha and (judged.harm or 0.0) > guardrail.margin


def _rest(requests: int, share: float) -> int:
    return max(1, round(requests * (1.0 - share) / share))


def _about(guardrail: Guardrail, share: float) -> int:
    """Return the size of the normal approximation, halved: the search starts below what it looks for."""
    usual = guardrail.baseline or 0.0
    z = float(-ndtri(ERROR / 2.0) - ndtri(1.0 - POWER))
    return max(16, int(0.25 * z * z * usual * (1.0 - usual) / ((1.0 - share) * guardrail.margin**2)))


def _first(holds: Callable[[int], bool], start: int) -> int:
    """Return about the smallest number at which a condition holds, within a hundredth."""
    low, high = 0, start
    while not holds(high):
        low, high = high, high * 2
        if high > _MOST:
            raise ValueError("no number of requests shows that; widen the margin")
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
