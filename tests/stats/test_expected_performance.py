"""Estimates before the labels are in, against the labels."""

import numpy as np
import pytest
from scipy.special import expit, logit

from include.contracts.model import Metric
from include.contracts.signatures import Task
from include.stats.expected_performance import (
    FEWEST_SCORED,
    Calibrator,
    Scored,
    Trust,
    expected_metric,
    fitted_calibrator,
    trust,
)
from include.stats.metrics import weighted_metric

METRICS = [
    Metric.ROC_AUC,
    Metric.AVERAGE_PRECISION,
    Metric.ACCURACY,
    Metric.PRECISION,
    Metric.RECALL,
    Metric.BRIER,
]


def chances(rows: int, generator: np.random.Generator) -> np.ndarray:
    """Return chances about as a churn model has them."""
    return expit(1.2 * generator.normal(size=rows) - 1)


def realised(metric: Metric, labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the metric itself."""
    return weighted_metric(metric, Task.BINARY, labels, scores)(np.ones(len(labels)))


@pytest.mark.parametrize("metric", METRICS)
def test_the_truth_lies_where_it_is_expected(metric):
    """Of calibrated scores: 95 % intervals hold it in 95 of 100 days (of 200)."""
    generator, held = np.random.default_rng(5), 0
    for _ in range(200):
        scores = chances(400, generator)
        labels = (generator.random(400) < scores).astype(float)
        interval = expected_metric(metric, scores, scores, np.arange(400)).interval()
        held += interval.low <= realised(metric, labels, scores) <= interval.high
    assert 0.89 <= held / 200


def test_accuracy_by_hand():
    """Two rows: predicted positive with a chance of 0.8, negative with one of 0.3; (0.8 + 0.7) / 2."""
    found = expected_metric(Metric.ACCURACY, np.array([0.8, 0.3]), np.array([0.8, 0.3]), np.arange(2))
    assert 0.75 == pytest.approx(found.value)
    # The variance of the mean of two independent hits: (0.8 * 0.2 + 0.7 * 0.3) / 4.
    assert np.sqrt((0.16 + 0.21) / 4) == pytest.approx(found.standard_error)


def test_uncalibrated_scores_bias_it_and_the_calibrator_mends_that():
    """Overconfident scores promise too much; a curve fitted to labelled rows brings the truth back."""
    generator = np.random.default_rng(6)
    true = chances(20_000, generator)
    labels = (generator.random(len(true)) < true).astype(float)
    scores = expit(2 * logit(true) + 0.5)
    units = np.arange(len(true))
    truth = realised(Metric.ROC_AUC, labels, scores)
    calibrate = fitted_calibrator(labels[:10_000], scores[:10_000])

    assert expected_metric(Metric.ROC_AUC, scores, scores, units).value > truth + 0.05
    assert truth == pytest.approx(
        expected_metric(Metric.ROC_AUC, scores, calibrate(scores), units).value, abs=0.015
    )
    assert (0.5, -0.25) == pytest.approx((calibrate.slope, calibrate.intercept), abs=0.06)


def test_calibrated_scores_are_left_alone():
    """A curve that gains nothing is not taken."""
    generator = np.random.default_rng(7)
    scores = chances(2_000, generator)
    labels = (generator.random(len(scores)) < scores).astype(float)
    assert Calibrator() == fitted_calibrator(labels, scores)
    assert scores is Calibrator()(scores)


def test_trust_is_earned_and_lost():
    """Too few days held against the truth prove nothing; a quarter of them wrong is too much."""
    right, wrong = Scored(0.8, 0.75, 0.85, 0.8), Scored(0.8, 0.75, 0.85, 0.6)

    assert Trust.UNPROVEN is trust([right] * (FEWEST_SCORED - 1))
    assert Trust.TRUSTED is trust([right] * 4 + [wrong])
    assert Trust.DISTRUSTED is trust([right] * 3 + [wrong] * 2)
    assert Trust.TRUSTED is trust([wrong] * 20 + [right] * 20)
