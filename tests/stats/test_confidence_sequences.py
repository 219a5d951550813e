"""Tests of intervals that hold at all times."""

import numpy as np
import pytest

from include.stats.confidence_sequences import (
    always_valid_p_values,
    bounded_mean_sequence,
    mixing_variance,
    normal_mixture_sequence,
)


def running_means(draw, runs, length):
    """Return running means and standard errors of skewed numbers of mean 1, from the 200th on."""
    values = draw.exponential(size=(runs, length))
    counts = np.arange(1, length + 1)
    means = np.cumsum(values, axis=1) / counts
    variances = np.cumsum(values**2, axis=1) / counts - means**2
    return means[:, 199:], np.sqrt(variances / counts)[:, 199:]


def test_the_normal_mixture_is_right_at_all_times_and_the_ordinary_interval_is_not():
    """1,000 seeded streams of 2,000 skewed numbers, watched after each from the 200th."""
    means, errors = running_means(np.random.default_rng(26), 1_000, 2_000)
    sequence = normal_mixture_sequence(means, errors, tightest_at=1 / np.sqrt(500))
    missed = ((sequence.low > 1.0) | (sequence.high < 1.0)).any(axis=1).mean()
    naive = (np.abs(means - 1.0) > 1.96 * errors).any(axis=1).mean()

    assert missed <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 1_000)
    assert naive > 0.25


def test_the_mixture_is_tightest_where_it_was_asked_to_be():
    """No other mixing variance is narrower at that standard error."""
    best = mixing_variance(400.0, 0.05)
    widths = [
        np.sqrt((1 + 1 / (400 * v)) * np.log((1 + 400 * v) / 0.05**2))
        for v in best * np.linspace(0.5, 2, 301)
    ]

    assert pytest.approx(best, rel=0.01) == best * np.linspace(0.5, 2, 301)[np.argmin(widths)]


def test_p_values_cross_alpha_just_when_the_sequence_excludes_no_effect():
    """The two are one test."""
    draw = np.random.default_rng(27)
    counts = np.arange(1, 2_001)
    estimates, errors = np.cumsum(draw.normal(0.1, 1, 2_000)) / counts, 1 / np.sqrt(counts)
    sequence = normal_mixture_sequence(estimates, errors, 0.05).running()
    p_values = always_valid_p_values(estimates, errors, 0.05)

    assert ((sequence.low > 0.0) | (sequence.high < 0.0)).tolist() == (p_values < 0.05).tolist()
    assert p_values[-1] < 0.05 < p_values[0]


def test_bounded_means_are_right_at_all_times():
    """500 seeded streams of 2,000 rare events, from the very first."""
    draw = np.random.default_rng(28)
    missed = 0
    for _ in range(500):
        sequence = bounded_mean_sequence(draw.random(2_000) < 0.03)
        missed += bool(np.any((sequence.low > 0.03) | (sequence.high < 0.03)))

    assert missed / 500 <= 0.05


def test_bounded_means_follow_the_theorem_step_by_step():
    """Waudby-Smith & Ramdas (2024), theorem 2, in plain loops: no bet knows the value it is laid on."""
    values, alpha = [0.9, 0.1, 0.4, 0.8, 0.35] * 60, 0.1
    total = squares = bets = weighted = penalty = 0.0
    mean, variance = 0.5, 0.25
    for time, value in enumerate(values, start=1):
        bet = min(0.5, np.sqrt(2 * np.log(2 / alpha) / (variance * time * np.log(1 + time))))
        penalty += 4 * (value - mean) ** 2 * (-np.log(1 - bet) - bet) / 4
        bets, weighted, total = bets + bet, weighted + bet * value, total + value
        mean = (0.5 + total) / (time + 1)
        squares += (value - mean) ** 2
        variance = (0.25 + squares) / (time + 1)
    low = max(0.0, weighted / bets - (np.log(2 / alpha) + penalty) / bets)
    high = min(1.0, weighted / bets + (np.log(2 / alpha) + penalty) / bets)
    sequence = bounded_mean_sequence(values, alpha)

    assert 0.0 < low < high < 1.0
    assert pytest.approx((low, high)) == (sequence.low[-1], sequence.high[-1])


def test_bounded_means_shrink_with_the_variance():
    """Numbers that hardly vary are bounded more tightly than coin flips."""
    draw = np.random.default_rng(29)
    steady, wild = (
        bounded_mean_sequence(x) for x in (draw.normal(0.5, 0.01, 5_000), draw.integers(0, 2, 5_000))
    )

    assert 5 * (steady.high - steady.low)[-1] < (wild.high - wild.low)[-1] < 0.08


def test_the_running_intersection_never_widens():
    """And stays within each interval."""
    sequence = bounded_mean_sequence(np.random.default_rng(30).random(300))
    running = sequence.running()

    assert np.all(np.diff(running.low) >= 0.0)
    assert np.all(np.diff(running.high) <= 0.0)
    assert running.low[-1] >= sequence.low[-1]


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: bounded_mean_sequence([]), "at least one value"),
        (lambda: bounded_mean_sequence([0.2, 1.2]), r"within \[0, 1\]"),
        (lambda: bounded_mean_sequence([0.2], 0.0), "alpha lies strictly"),
        (lambda: normal_mixture_sequence([1.0], [0.0], 1.0), "must be positive"),
        (lambda: normal_mixture_sequence([1.0], [1.0, 1.0], 1.0), "differ in shape"),
        (lambda: normal_mixture_sequence([1.0], [1.0], 0.0), "must be positive"),
        (lambda: mixing_variance(0.0), "information is positive"),
    ],
)
def test_streams_without_sense_are_refused(build, reason):
    """With the reason."""
    with pytest.raises(ValueError, match=reason):
        build()
