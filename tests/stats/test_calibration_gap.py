import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from include.stats.calibration_gap import calibration_gap
from include.stats.metrics import expected_calibration_error


def drawn(dice: np.random.Generator, rows: int, off: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and scores whose chances are off by a constant."""
    scores = dice.beta(2, 6, rows)
    labels = (dice.random(rows) < np.clip(scores - off, 0, 1)).astype(float)
    return labels, scores


@given(some.integers(1, 400), some.integers(0, 10_000))
def test_the_plain_error_is_the_metric(rows, seed):
    """The same bins of equal mass as `expected_calibration_error`, to rounding of the last row."""
    labels, scores = drawn(np.random.default_rng(seed), rows * 15)
    gap = calibration_gap(labels, scores)
    assert gap.plain == pytest.approx(expected_calibration_error(labels, scores), abs=1e-12)
    assert gap.low <= gap.debiased <= gap.high
    assert gap.debiased <= gap.plain + 1e-12


def test_calibrated_scores_have_no_gap_on_average():
    """At 200 rows the plain error exceeds 0.05 nearly always; the debiased one is 0 on average, or less."""
    dice = np.random.default_rng(11)
    found = [calibration_gap(*drawn(dice, 200)) for _ in range(400)]
    assert np.mean([each.plain > 0.05 for each in found]) > 0.9
    assert abs(np.mean([each.debiased for each in found])) < 0.008
    assert np.mean([each.low > 0.05 for each in found]) == 0.0


def test_a_gap_is_found_as_large_as_it_is():
    """Scores too high by 0.12 are found so, and its lower limit claims too much as rarely as it promises."""
    dice = np.random.default_rng(12)
    true = 0.12
    found = []
    for _ in range(300):
        scores = dice.uniform(0.3, 0.9, 2_000)
        found.append(calibration_gap((dice.random(2_000) < scores - true).astype(float), scores))
    assert np.mean([each.debiased for each in found]) == pytest.approx(true, abs=0.008)
    assert np.mean([each.low <= true for each in found]) > 0.96


def test_repeated_rows_widen_the_interval():
    """As many rows of half as many units say half as much."""
    labels, scores = drawn(np.random.default_rng(1), 1_000)
    whole, half = calibration_gap(labels, scores), calibration_gap(labels, scores, independent=500)
    assert half.high - half.low == pytest.approx((whole.high - whole.low) * np.sqrt(2))


def test_no_rows_are_refused():
    """There is nothing to be calibrated."""
    with pytest.raises(ValueError, match="no rows"):
        calibration_gap(np.array([]), np.array([]))
