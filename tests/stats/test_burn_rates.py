from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contracts.alerts import Severity
from include.contracts.objectives import BURN_WINDOWS, BurnReason
from include.stats.burn_rates import Requests, judge_burn

LENGTHS = {length for each in BURN_WINDOWS for length in (each.long, each.short)}
TARGET = 0.999


def steadily(bad_ratio: float, an_hour: int = 100_000) -> dict[timedelta, Requests]:
    """Return what windows of every length see of a service that fails evenly."""
    seen = {}
    for length in LENGTHS:
        total = round(an_hour * length / timedelta(hours=1))
        seen[length] = Requests(total, round(total * bad_ratio))
    return seen


def test_windows_spend_what_the_workbook_says():
    """Google, The Site Reliability Workbook, table 5-8: 2, 5 and 10 % of the 30 days' budget."""
    assert [0.02, 0.05, 0.1] == [pytest.approx(each.spent_ratio) for each in BURN_WINDOWS]
    assert [12, 12, 12] == [each.long / each.short for each in BURN_WINDOWS]


def test_clopper_and_pearson():
    """Lower limit of 1 in 10 at one-sided 2.5 %: 0.0025286 (R 4.3, binom.test(1, 10)$conf.int)."""
    assert pytest.approx(0.002528579, rel=1e-5) == Requests(10, 1).least_burn_rate(0.0)
    assert pytest.approx(0.69150289, rel=1e-5) == Requests(10, 10).least_burn_rate(0.0)
    assert 0.0 == Requests(10, 0).least_burn_rate(0.0)


@pytest.mark.parametrize(
    ("bad_ratio", "severity"),
    [
        (0.0, None),
        (0.0009, None),
        (0.0012, Severity.WARNING),
        (0.0055, Severity.WARNING),
        (0.0065, Severity.ERROR),
        (0.0140, Severity.ERROR),
        (0.0155, Severity.CRITICAL),
        (1.0, Severity.CRITICAL),
    ],
)
def test_the_gravest_pair_that_fires_counts(bad_ratio, severity):
    """An even failure ratio fires every pair whose rate it exceeds."""
    seen = steadily(bad_ratio)
    burn = judge_burn(TARGET, seen, seen[timedelta(days=3)])
    assert severity is (burn.worst.window.severity if burn.worst else None)
    assert (BurnReason.BURNING if severity else BurnReason.WITHIN_BUDGET) is burn.reason


def test_what_is_over_does_not_burn():
    """An hour full of failures whose last five minutes were well is told of no more; the budget is gone."""
    seen = steadily(1.0) | {each.short: Requests(10_000, 0) for each in BURN_WINDOWS}
    burn = judge_burn(TARGET, seen, Requests(1_000_000, 100_000))
    assert (None, BurnReason.BUDGET_SPENT) == (burn.worst, burn.reason)
    assert pytest.approx(-99.0) == burn.budget_left


@pytest.mark.parametrize(
    ("requests", "reason"),
    [
        (Requests(0, 0), BurnReason.NO_REQUESTS),
        (Requests(9, 9), BurnReason.TOO_FEW_REQUESTS),
        (Requests(10, 10), BurnReason.BURNING),
        (Requests(10, 0), BurnReason.WITHIN_BUDGET),
    ],
)
def test_few_requests_say_little(requests, reason):
    """Ten that all fail are an outage; fewer are nothing to go by."""
    seen = dict.fromkeys(LENGTHS, requests)
    assert reason is judge_burn(TARGET, seen, requests).reason


def test_one_failure_among_a_hundred_pages_nobody():
    """It is ten times the budget's ratio; that it were so in the long run is not shown."""
    one = dict.fromkeys(LENGTHS, Requests(100, 1))
    assert judge_burn(TARGET, one, Requests(100, 1)).worst is None


counts = st.integers(0, 1_000).flatmap(lambda bad: st.integers(bad, 10_000).map(lambda n: Requests(n, bad)))


@given(counts, counts)
def test_counts_add_up(one, other):
    """Two parts together burn between the one and the other, and the lower limit never exceeds the rate."""
    both = one + other
    assert (one + other) == (other + one)
    rates = sorted((one.burn_rate(TARGET), other.burn_rate(TARGET)))
    if one.total and other.total:
        assert rates[0] - 1e-9 <= both.burn_rate(TARGET) <= rates[1] + 1e-9
    assert both.least_burn_rate(TARGET) <= both.burn_rate(TARGET) + 1e-9


def test_counts_that_cannot_be_are_refused():
    """More failures than requests are a bug upstream."""
    with pytest.raises(ValueError, match="3 bad requests of 2"):
        Requests(2, 3)
