"""Whether failures fall on a change more often than requests do: exact at any time, however few they are.

Where a change does no harm, each failure is as likely to be the change's as a request is. The likelihood
ratio of a mixture of risk ratios against that is a martingale; by Ville's inequality it ever exceeds
1/alpha with probability alpha, so one may look after every request (Robbins 1970, Annals of Mathematical
Statistics 41:1397; Lindon & Malek 2022, arXiv 2011.03567). No baseline enters, no normal approximation, and
no plan of looks.
"""

from math import exp, inf, log, log1p

from include.stats.spending import probability

RISK_RATIOS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1_000.0)
"""The mixture, equal weights: from a quarter more failures to nothing but failures."""


def split_p_value(harmed: float, failures: float, share: float) -> float:
    """Return the always-valid p-value of: the change fails no more often than the rest does.

    Args:
        harmed: failures of the change; a count, or an effective one where failures cluster.
        failures: failures of both.
        share: the change's share of the requests, in (0, 1).

    Raises:
        ValueError: more failures of the change than there are, a negative number, or a share outside (0, 1).
    """
    _check_counts(harmed, failures, "failures")
    probability(share, "share")
    return _p_value([harmed * log(ratio) - failures * log1p(share * (ratio - 1.0)) for ratio in RISK_RATIOS])


def rate_p_value(failed: float, requests: float, accepted: float) -> float:
    """Return the always-valid p-value of: no larger share of the requests fails than is accepted.

    Args:
        failed: requests that failed, effective ones where they cluster.
        requests: all of them.
        accepted: the accepted share, in (0, 1).

    Raises:
        ValueError: more failed than there are, a negative number, or an accepted share outside (0, 1).
    """
    _check_counts(failed, requests, "requests")
    probability(accepted, "accepted")
    possible = [ratio for ratio in RISK_RATIOS if ratio * accepted < 1.0]
    good = requests - failed
    return _p_value(
        [failed * log(ratio) + good * (log1p(-ratio * accepted) - log1p(-accepted)) for ratio in possible],
    )


def _p_value(logarithms: list[float]) -> float:
    """Return one over the mean of likelihood ratios, at most 1; 1 of none."""
    most = max(logarithms, default=-inf)
    if most == -inf:
        return 1.0
    mean = most + log(sum(exp(each - most) for each in logarithms) / len(logarithms))
    return exp(min(0.0, -mean))


def _check_counts(part: float, whole: float, what: str) -> None:
    if not 0.0 <= part <= whole < inf:
        raise ValueError(f"{part} of {whole} {what} cannot be")
