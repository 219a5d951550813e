"""Tests of quantile metrics."""

import numpy as np
import pytest
from scipy.stats import norm, quantile_test

from include.stats.quantiles import difference_of_quantiles, quantile_interval


def latencies(draw, units, spread=1.0):
    """Return latencies and units: 1 to 20 requests each, slow units slow throughout."""
    names = np.repeat(np.arange(units), draw.integers(1, 21, units))
    return np.exp(spread * draw.normal(size=units)[names] + 0.5 * draw.normal(size=names.size)), names


def test_independent_requests_have_the_binomial_interval():
    """SciPy's exact order-statistic interval, within a rank or two."""
    values = np.random.default_rng(21).exponential(size=5_000)
    interval = quantile_interval(values, np.arange(5_000), 0.9)
    exact = quantile_test(values, q=0.0, p=0.9).confidence_interval(0.95)
    ordered = np.sort(values)

    assert abs(np.searchsorted(ordered, interval.low) - np.searchsorted(ordered, exact.low)) <= 2
    assert abs(np.searchsorted(ordered, interval.high) - np.searchsorted(ordered, exact.high)) <= 2
    assert ordered[4_499] == interval.value


def test_clustered_requests_are_covered_and_would_not_be_if_taken_for_independent():
    """p99 of 200 seeded samples of 1,500 units: about 95 % contain the truth, against far fewer."""
    draw = np.random.default_rng(22)
    truth = np.exp(np.sqrt(1.25) * norm.ppf(0.99))
    clustered = naive = 0
    for _ in range(200):
        values, units = latencies(draw, 1_500)
        interval, blind = (
            quantile_interval(values, names, 0.99) for names in (units, np.arange(values.size))
        )
        clustered += interval.low <= truth <= interval.high
        naive += blind.low <= truth <= blind.high

    assert 0.90 <= clustered / 200 <= 0.995
    assert naive / 200 < 0.85


def test_differences_of_quantiles_cover():
    """p90 of two arms from one population, 500 seeded pairs: 0 lies inside about 95 % of the time."""
    draw = np.random.default_rng(23)
    inside = 0
    for _ in range(500):
        control, treatment = (quantile_interval(*latencies(draw, 300), 0.9) for _ in range(2))
        gap = difference_of_quantiles(control, treatment)
        inside += gap.low <= 0.0 <= gap.high

    assert 0.92 <= inside / 500 <= 0.99


def test_a_slower_tail_is_found():
    """Treatment 1.5 times as slow beyond its median."""
    draw = np.random.default_rng(24)
    (fast, units), (slow, others) = latencies(draw, 3_000), latencies(draw, 3_000)
    slow = np.where(slow > 1.0, 1.5 * slow, slow)
    gap = difference_of_quantiles(quantile_interval(fast, units, 0.95), quantile_interval(slow, others, 0.95))

    assert gap.low > 0.0


def test_the_names_of_units_do_not_matter():
    """Strings do as well as numbers."""
    values, units = latencies(np.random.default_rng(25), 200)

    assert quantile_interval(values, units, 0.5) == quantile_interval(
        values, [f"u{unit:04}" for unit in units], 0.5
    )


@pytest.mark.parametrize(
    ("values", "units", "quantile", "reason"),
    [
        ([1.0, 2.0], [1], 0.5, "one unit a request"),
        ([1.0, float("inf")], [1, 2], 0.5, "finite"),
        (np.arange(500.0), np.arange(500), 0.99, "fewer than 10"),
        (np.arange(30.0), np.repeat([0, 1, 2], 10), 0.5, "too few units"),
        (np.arange(100.0), np.arange(100), 1.0, "quantile lies strictly"),
    ],
)
def test_tails_that_cannot_be_bounded_are_refused(values, units, quantile, reason):
    """Rather than answered with the largest value seen."""
    with pytest.raises(ValueError, match=reason):
        quantile_interval(values, units, quantile)
