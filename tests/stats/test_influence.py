"""Metrics by influence against the metrics themselves and the bootstrap over units."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from include.contracts.model import Metric
from include.contracts.signatures import Task
from include.stats.bootstrap import bootstrap_estimate
from include.stats.influence import clustered_estimate, influences
from include.stats.metrics import weighted_metric

CASES = [(task, metric) for task in Task for metric in Metric if task in metric.tasks]
WEIGHABLE = [each for each in CASES if each[1] is not Metric.EXPECTED_CALIBRATION_ERROR]
"""Its bins hold equal numbers of rows, not of weight."""


def drawn(task: Task, rows: int, units: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, scores and units whose rows resemble each other."""
    generator = np.random.default_rng(seed)
    unit = generator.integers(0, units, rows)
    own = generator.normal(size=units)[unit]
    if task is Task.REGRESSION:
        labels = 3 * generator.normal(size=rows) + own
        return labels, labels + generator.normal(size=rows) + own / 2, unit
    if task is Task.MULTICLASS:
        odds = np.exp(generator.normal(size=(rows, 3)) + own[:, None] * [1, 0, -1])
        scores = odds / odds.sum(axis=1, keepdims=True)
        labels = (scores.cumsum(axis=1) < generator.random((rows, 1))).sum(axis=1)
        return labels.astype(float), scores, unit
    scores = np.round(1 / (1 + np.exp(1 - own - generator.normal(size=rows))), 2)  # with ties
    return (generator.random(rows) < scores).astype(float), scores, unit


@pytest.mark.parametrize(("task", "metric"), CASES)
def test_value_and_error_are_those_of_metric_and_bootstrap(task, metric):
    """The value to the last digits, weighted or not; the error within what 500 resamples leave open."""
    labels, scores, unit = drawn(task, 3_000, 700)
    weights = np.random.default_rng(2).random(len(labels)) + 0.5
    plain = weighted_metric(metric, task, labels, scores)
    found = influences(metric, task, labels, scores)
    expected = bootstrap_estimate(plain, unit.astype(object), seed=1)

    assert plain(np.ones(len(labels))) == pytest.approx(found.value, abs=1e-12)
    assert plain(weights) == pytest.approx(influences(metric, task, labels, scores, weights).value, abs=1e-12)
    assert pytest.approx(0, abs=1e-12) == found.of_rows.mean()
    if metric is not Metric.EXPECTED_CALIBRATION_ERROR:  # its bins move; taken as given, the error is larger
        assert expected.standard_error == pytest.approx(
            clustered_estimate(found, unit).standard_error, rel=0.12
        )


@pytest.mark.parametrize(("task", "metric"), WEIGHABLE)
def test_weights_are_rows(task, metric):
    """A row of weight two moves the metric as two rows do."""
    labels, scores, unit = drawn(task, 300, 60)
    weights = np.random.default_rng(3).integers(1, 4, len(labels))
    place = np.repeat(np.arange(len(labels)), weights)
    weighted = clustered_estimate(
        influences(metric, task, labels, scores, weights.astype(float)), unit, weights.astype(float)
    )
    repeated = clustered_estimate(influences(metric, task, labels[place], scores[place]), unit[place])

    assert repeated.value == pytest.approx(weighted.value, abs=1e-12)
    assert repeated.standard_error == pytest.approx(weighted.standard_error, rel=1e-9)


def test_rows_of_a_unit_are_not_independent():
    """A thousand copies of twenty rows say no more than the twenty."""
    labels, scores, _ = drawn(Task.BINARY, 20, 20)
    once = clustered_estimate(influences(Metric.BRIER, Task.BINARY, labels, scores), np.arange(20))
    many = clustered_estimate(
        influences(Metric.BRIER, Task.BINARY, np.tile(labels, 50), np.tile(scores, 50)),
        np.tile(np.arange(20), 50),
    )

    assert once.value == pytest.approx(many.value)
    assert once.standard_error == pytest.approx(many.standard_error)


@budget(deadline=None, max_examples=100)
@given(
    labels=arrays(np.float64, st.integers(2, 30), elements=st.sampled_from((0.0, 1.0))),
    data=st.data(),
    metric=st.sampled_from([metric for metric in Metric if Task.BINARY in metric.tasks]),
)
def test_any_rows_give_the_metric_or_are_refused(labels, data, metric):
    """Ties, one class, nothing predicted positive."""
    scores = data.draw(arrays(np.float64, len(labels), elements=st.sampled_from((0.0, 0.2, 0.5, 0.7, 1.0))))
    try:
        found = influences(metric, Task.BINARY, labels, scores)
    except ValueError:
        assert len(set(labels)) == 1 or metric in {Metric.PRECISION, Metric.RECALL}
        return
    expected = weighted_metric(metric, Task.BINARY, labels, scores)(np.ones(len(labels)))
    assert expected == pytest.approx(found.value, abs=1e-12)
    assert np.isfinite(found.of_rows).all()


def test_what_says_nothing_is_refused():
    """No rows; one unit."""
    with pytest.raises(ValueError, match="no rows"):
        influences(Metric.BRIER, Task.BINARY, np.array([]), np.array([]))
    found = influences(Metric.BRIER, Task.BINARY, np.array([0.0, 1.0]), np.array([0.2, 0.7]))
    with pytest.raises(ValueError, match="one unit"):
        clustered_estimate(found, np.array([0, 0]))
