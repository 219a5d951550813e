"""Tests of the always-valid test of where failures fall."""

from math import comb

import numpy as np
import pytest

from include.stats.failure_split import RISK_RATIOS, rate_p_value, split_p_value


def test_it_is_the_inverse_mean_of_binomial_likelihood_ratios() -> None:
    """Written out: each risk ratio's probability of the split over that of no harm."""
    harmed, failures, share = 7, 9, 0.25

    def likelihood(ratio: float) -> float:
        place = ratio * share / (1.0 - share + ratio * share)
        return comb(failures, harmed) * place**harmed * (1.0 - place) ** (failures - harmed)

    factor = sum(likelihood(ratio) for ratio in RISK_RATIOS) / len(RISK_RATIOS) / likelihood(1.0)
    assert pytest.approx(1.0 / factor) == split_p_value(harmed, failures, share)


def test_a_rate_is_held_against_what_is_accepted() -> None:
    """Written out the same way, over the risk ratios that leave a probability."""
    failed, requests, accepted = 6, 50, 0.02
    possible = [ratio for ratio in RISK_RATIOS if ratio * accepted < 1.0]
    factors = [
        ratio**failed * ((1.0 - ratio * accepted) / (1.0 - accepted)) ** (requests - failed)
        for ratio in possible
    ]
    assert pytest.approx(len(possible) / sum(factors)) == rate_p_value(failed, requests, accepted)


def test_a_handful_of_failures_suffices_where_all_fall_on_a_small_share() -> None:
    """At a share of 5 %, five of five are beyond chance; five of a hundred are just what is expected."""
    assert 1e-4 > split_p_value(5, 5, 0.05)
    assert 1.0 == split_p_value(5, 100, 0.05)
    assert 1.0 == split_p_value(0, 0, 0.05)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_looking_after_every_failure_errs_no_more_often_than_alpha(share: float) -> None:
    """Failures that fall as requests do; a fixed-sample test peeked at errs several times as often."""
    alpha, runs, failures = 0.05, 2_000, 300
    harmed = np.cumsum(np.random.default_rng(2017).random((runs, failures)) < share, axis=1)
    looks = np.arange(1, failures + 1)
    # Monotone in what was harmed: so the least that alarms at each look decides.
    least = np.array(
        [
            next((x for x in range(n + 1) if split_p_value(x, n, share) <= alpha), n + 1)
            for n in looks.tolist()
        ]
    )
    naive = (harmed - share * looks) / np.sqrt(share * (1.0 - share) * looks) > 1.645
    standard_error = (alpha * (1.0 - alpha) / runs) ** 0.5
    assert (harmed >= least).any(axis=1).mean() <= alpha + 2.0 * standard_error
    assert naive.any(axis=1).mean() > 3.0 * alpha


@pytest.mark.parametrize(
    ("harmed", "failures", "share"), [(2, 1, 0.5), (-1, 1, 0.5), (1, 1, 0.0), (1, 1, 1.0)]
)
def test_what_cannot_be_is_refused(harmed: int, failures: int, share: float) -> None:
    """Counts that contradict each other, and a share that leaves one arm empty."""
    with pytest.raises(ValueError, match=r"cannot be|share"):
        split_p_value(harmed, failures, share)
