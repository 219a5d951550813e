"""Sample ratio mismatch: arms that are not as large as they should be mean that the experiment is broken.

Whatever loses or adds units differently by arm (redirects, crashes, bots, late logging) biases every metric
after it, so this test comes first, with an alpha small enough to believe (Fabijan et al. 2019, KDD).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log

from scipy.stats import binomtest, chisquare

from include.stats.spending import ROUNDING, probability

SRM_ALPHA = 0.001
"""A false alarm stops an experiment, and the check runs at each look: so it is strict."""
MINIMUM_EXPECTED = 5.0
"""Expected units in every arm for which the chi-squared approximation is used."""


@dataclass(frozen=True)
class SampleRatio:
    """Units seen and expected in each arm, and how likely such a gap is by chance."""

    observed: tuple[int, ...]
    expected: tuple[float, ...]
    p_value: float
    mismatch: bool


def sample_ratio_test(
    observed: Sequence[int], shares: Sequence[float], alpha: float = SRM_ALPHA
) -> SampleRatio:
    """Test at one time whether units fell to the arms in the planned shares.

    Pearson's chi-squared; with two arms and few units the exact binomial test. Looking again and again at
    this test multiplies its false alarms: use `sequential_sample_ratio_test` for that.

    Args:
        observed: units in each arm (not requests: those of one unit fall together).
        shares: planned shares, adding up to 1.
        alpha: p-value below which it is a mismatch.

    Raises:
        ValueError: fewer than two arms, counts that are negative, shares that are not positive or do not add
            up to 1, or more than two arms with fewer than `MINIMUM_EXPECTED` expected units in one.
    """
    probability(alpha, "alpha")
    expected = _expected(observed, shares)
    if min(expected) >= MINIMUM_EXPECTED:
        p_value = float(chisquare(list(observed), list(expected)).pvalue)
    elif sum(observed) == 0:
        p_value = 1.0
    elif len(expected) == 2:  # noqa: PLR2004 - two arms are binomial
        p_value = float(binomtest(observed[0], sum(observed), shares[0]).pvalue)
    else:
        raise ValueError(
            f"{sum(observed)} units over {len(expected)} arms are too few for the chi-squared test: wait "
            f"until each arm expects {MINIMUM_EXPECTED:g}"
        )
    return SampleRatio(tuple(observed), expected, p_value, p_value < alpha)


def sequential_sample_ratio_test(
    observed: Sequence[int],
    shares: Sequence[float],
    alpha: float = SRM_ALPHA,
    units_to_notice: float = 1_000.0,
) -> SampleRatio:
    """Test the shares at any time, after every unit if one likes, with false alarms of alpha over all looks.

    The Bayes factor of a Dirichlet prior around the planned shares is a martingale under them; by Ville's
    inequality it ever exceeds 1/alpha with probability alpha (Lindon & Malek 2022, arXiv 2011.03567). The
    p-value is the inverse Bayes factor, at most 1: it is valid at any one of the looks.

    Args:
        observed: units in each arm so far.
        shares: planned shares, adding up to 1.
        alpha: false alarms over all looks together.
        units_to_notice: strength of the prior, in units: larger finds smaller mismatches, but later.

    Raises:
        ValueError: as `sample_ratio_test` does for counts and shares, or a strength that is not positive.
    """
    probability(alpha, "alpha")
    expected = _expected(observed, shares)
    if not units_to_notice > 0.0:
        raise ValueError(f"the strength of the prior is positive, not {units_to_notice}")
    factor = lgamma(units_to_notice) - lgamma(units_to_notice + sum(observed))
    for count, share in zip(observed, shares, strict=True):
        prior = units_to_notice * share
        factor += lgamma(prior + count) - lgamma(prior) - count * log(share)
    p_value = exp(min(0.0, -factor))
    return SampleRatio(tuple(observed), expected, p_value, p_value < alpha)


def _expected(observed: Sequence[int], shares: Sequence[float]) -> tuple[float, ...]:
    if len(observed) < 2 or len(observed) != len(shares):  # noqa: PLR2004 - a ratio needs two
        raise ValueError(
            f"give as many counts as shares, at least two; got {len(observed)} and {len(shares)}"
        )
    if min(observed) < 0:
        raise ValueError(f"counts of units are not negative: {list(observed)}")
    if min(shares) <= 0.0 or abs(sum(shares) - 1.0) > ROUNDING:
        raise ValueError(f"shares are positive and add up to 1; {list(shares)} add up to {sum(shares):g}")
    return tuple(share * sum(observed) for share in shares)
