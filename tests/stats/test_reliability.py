import tracemalloc

import numpy as np
import pytest

from include.stats.metrics import expected_calibration_error
from include.stats.reliability import (
    calibration_error,
    calibration_error_by_chance,
    debiased_calibration_error,
    reliability_bins,
)

DICE = np.random.default_rng(3)
SCORES = DICE.beta(2, 5, 3_007)
LABELS = (DICE.random(len(SCORES)) < SCORES).astype(float)


def test_bins_hold_every_row_once_in_order_of_score():
    """Masses are equal but for one row, and each share lies within its limits."""
    bins = reliability_bins(LABELS, SCORES)
    assert (15, len(SCORES)) == (len(bins), sum(each.rows for each in bins))
    assert 1 >= max(each.rows for each in bins) - min(each.rows for each in bins)
    assert sorted(each.mean_score for each in bins) == [each.mean_score for each in bins]
    assert all(each.observed.low <= each.observed.value <= each.observed.high for each in bins)


def test_the_plain_error_is_the_metric():
    """A threshold and a plot speak of the same figure."""
    plain = calibration_error(reliability_bins(LABELS, SCORES))
    assert pytest.approx(expected_calibration_error(LABELS, SCORES)) == plain


def test_chance_explains_the_error_of_a_calibrated_model():
    """Its plain error is about what chance gives, and nothing is left of the debiased one."""
    by_chance = calibration_error_by_chance(SCORES, seed=1)
    bins = reliability_bins(LABELS, SCORES)
    assert pytest.approx(by_chance, rel=0.5) == calibration_error(bins)
    assert 0.01 > debiased_calibration_error(bins)


def test_a_true_gap_is_found_without_bias():
    """Scores a tenth too high have a root mean squared gap of a tenth, however few rows a bin has."""
    for rows in (300, 3_000):
        bins = reliability_bins(LABELS[:rows], SCORES[:rows] + 0.1)
        assert pytest.approx(0.1, abs=0.03) == debiased_calibration_error(bins)


def test_fewer_rows_than_bins():
    """Each row is a bin of its own."""
    bins = reliability_bins(np.array([0.0, 1.0]), np.array([0.2, 0.8]))
    assert [(1, 0.2, 0.0), (1, 0.8, 1.0)] == [(b.rows, b.mean_score, b.observed.value) for b in bins]
    assert 0.0 == debiased_calibration_error(bins)
    assert 0.0 < calibration_error_by_chance(np.array([0.2, 0.8]), seed=1)


def drawn_at_once(scores, *, seed, bins=15, draws=200):
    """Return the error by chance from one matrix of all draws, [draws, rows]."""
    ranked = np.sort(scores)
    labels = np.random.default_rng(seed).random((draws, len(ranked))) < ranked
    count = min(bins, len(ranked))
    starts = [-(-place * len(ranked) // count) for place in range(count)]
    gaps = np.add.reduceat(labels - ranked, starts, axis=1)
    return float(np.abs(gaps).sum(axis=1).mean() / len(ranked))


@pytest.mark.parametrize("rows", [1, 7, 15, 16, 100, 3_007])
def test_one_draw_at_a_time_gives_the_same_figure(rows):
    """Reports of before stay comparable to the last bit."""
    assert drawn_at_once(SCORES[:rows], seed=7) == calibration_error_by_chance(SCORES[:rows], seed=7)


def test_memory_does_not_grow_with_the_draws():
    """A million rows must not take gigabytes: here all draws at once would take 16 MB."""
    tracemalloc.start()
    try:
        calibration_error_by_chance(np.resize(SCORES, 10_000), seed=1)
        assert 2e6 > tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
