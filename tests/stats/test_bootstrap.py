import numpy as np
import pytest

from include.contracts.model import Metric
from include.contracts.signatures import Task
from include.stats.bootstrap import bootstrap_estimate, paired_difference
from include.stats.metrics import weighted_metric

ROWS = 4_000
DICE = np.random.default_rng(5)
LABELS = (DICE.random(ROWS) < 0.3).astype(float)
GOOD = LABELS + DICE.normal(size=ROWS)
BAD = LABELS + 2 * DICE.normal(size=ROWS)
UNITS = np.arange(ROWS).astype(str).astype(object)


def auc(scores, labels=LABELS):
    """Return the area under the curve as a function of row weights."""
    return weighted_metric(Metric.ROC_AUC, Task.BINARY, labels, scores)


def test_identical_scores_differ_by_exactly_nothing():
    """The interval of a model against itself is a point, since both see the same resamples."""
    found = paired_difference(auc(GOOD), auc(GOOD), UNITS, seed=1)
    assert (0.0, 0.0, 0.0) == (found.difference, found.lower, found.upper)


def test_a_better_model_is_shown_to_be_better():
    """The lower limit of a clear difference lies above zero, and the signs turn with the order."""
    found = paired_difference(auc(GOOD), auc(BAD), UNITS, seed=1)
    assert 0 < found.lower < found.difference < found.upper
    assert paired_difference(auc(BAD), auc(GOOD), UNITS, seed=1).upper < 0


def test_a_seed_gives_one_interval():
    """Same rows and seed, same limits; another seed, others."""
    first, again, other = (paired_difference(auc(GOOD), auc(BAD), UNITS, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first.lower != other.lower


def test_mean_difference_has_the_normal_limit():
    """For a mean over independent rows the limit is the textbook one, 1.645 standard errors below."""
    losses, other = DICE.normal(size=ROWS), DICE.normal(size=ROWS)
    zeros = np.zeros(ROWS)
    first, second = (
        weighted_metric(Metric.MEAN_ABSOLUTE_ERROR, Task.REGRESSION, zeros, x) for x in (losses, other)
    )
    found = paired_difference(first, second, UNITS, seed=1, resamples=2_000)
    differences = np.abs(losses) - np.abs(other)
    expected = differences.mean() - 1.645 * differences.std() / ROWS**0.5
    assert pytest.approx(expected, abs=0.002) == found.lower


def test_rows_of_one_unit_count_as_one_observation():
    """Each row copied four times under its unit's name says no more than the rows did."""
    once = paired_difference(auc(GOOD), auc(BAD), UNITS, seed=1)
    labels, good, bad = (np.repeat(values, 4) for values in (LABELS, GOOD, BAD))
    copied = paired_difference(auc(good, labels), auc(bad, labels), np.repeat(UNITS, 4), seed=1)
    assert pytest.approx(once.lower, abs=1e-9) == copied.lower


def test_the_error_of_a_mean_is_the_textbook_one():
    """Accuracy over independent rows: the bootstrap's error is sqrt(p (1 - p) / n)."""
    accuracy = weighted_metric(Metric.ACCURACY, Task.BINARY, LABELS, GOOD)
    found = bootstrap_estimate(accuracy, UNITS, seed=1)
    share = ((GOOD >= 0.5) == LABELS).mean()
    assert pytest.approx(share) == found.value
    assert pytest.approx(np.sqrt(share * (1 - share) / ROWS), rel=0.1) == found.standard_error


def test_rows_of_one_unit_are_not_independent():
    """The same rows ten times over, under the same units, say no more than once."""
    accuracy = weighted_metric(Metric.ACCURACY, Task.BINARY, np.tile(LABELS, 10), np.tile(GOOD, 10))
    once = bootstrap_estimate(weighted_metric(Metric.ACCURACY, Task.BINARY, LABELS, GOOD), UNITS, seed=1)
    found = bootstrap_estimate(accuracy, np.tile(UNITS, 10), seed=1)
    assert pytest.approx(once.standard_error) == found.standard_error
