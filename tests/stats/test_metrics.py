import numpy as np
import pytest
from sklearn import metrics as sk

from include.contracts.model import Metric
from include.contracts.signatures import Task
from include.stats.metrics import compute_metrics, expected_calibration_error, weighted_metric

DICE = np.random.default_rng(3)
LABELS = (DICE.random(2_000) < 0.3).astype(float)
SCORES = np.round(np.clip(0.3 + 0.2 * (LABELS - 0.3) + 0.15 * DICE.normal(size=2_000), 0.01, 0.99), 2)
WEIGHTS = DICE.integers(0, 4, 2_000).astype(float)
ONES = np.ones(2_000)

BINARY = {
    Metric.ROC_AUC: sk.roc_auc_score,
    Metric.AVERAGE_PRECISION: sk.average_precision_score,
    Metric.BRIER: sk.brier_score_loss,
    Metric.LOG_LOSS: sk.log_loss,
    Metric.ACCURACY: lambda labels, scores, **kw: sk.accuracy_score(labels, scores >= 0.5, **kw),
    Metric.PRECISION: lambda labels, scores, **kw: sk.precision_score(labels, scores >= 0.5, **kw),
    Metric.RECALL: lambda labels, scores, **kw: sk.recall_score(labels, scores >= 0.5, **kw),
}


@pytest.mark.parametrize("weights", [ONES, WEIGHTS], ids=["plain", "resampled"])
@pytest.mark.parametrize("metric", BINARY)
def test_binary_metrics_agree_with_scikit_learn(metric, weights):
    """Ours, fast under reweighting, equal scikit-learn's, ties and weights included."""
    expected = BINARY[metric](LABELS, SCORES, sample_weight=weights)
    assert pytest.approx(expected, rel=1e-9) == weighted_metric(metric, Task.BINARY, LABELS, SCORES)(weights)


def test_every_metric_of_a_task_is_computed():
    """The result has each metric the contract could name for the task, and no other."""
    expected = {metric.value for metric in Metric if Task.BINARY in metric.tasks}
    assert expected == set(compute_metrics(Task.BINARY, LABELS, SCORES))


def test_regression_metrics_by_hand():
    """Targets 1, 2, 3 and predictions 1, 2, 5: errors 0, 0, 2."""
    found = compute_metrics(Task.REGRESSION, np.array([1.0, 2, 3]), np.array([[1.0], [2], [5]]))
    expected = {"r2": -1.0, "mean_absolute_error": 2 / 3, "root_mean_squared_error": (4 / 3) ** 0.5}
    assert pytest.approx(expected) == found


def test_multiclass_metrics_agree_with_scikit_learn():
    """Accuracy takes the largest of K scores, log loss the true class's."""
    labels = DICE.integers(0, 3, 500).astype(float)
    scores = DICE.dirichlet(np.ones(3), 500)
    found = compute_metrics(Task.MULTICLASS, labels, scores)
    assert pytest.approx(sk.accuracy_score(labels, scores.argmax(axis=1))) == found["accuracy"]
    assert pytest.approx(sk.log_loss(labels, scores)) == found["log_loss"]


def test_calibration_error_by_hand():
    """Two bins: predicted 0.2 with 1 of 4 positive, predicted 0.7 with 2 of 4: (0.05 + 0.2) / 2."""
    scores = np.array([0.2] * 4 + [0.7] * 4)
    labels = np.array([1.0, 0, 0, 0, 1, 1, 0, 0])
    assert pytest.approx(0.125) == expected_calibration_error(labels, scores, bins=2)


def test_calibrated_scores_have_little_calibration_error():
    """Labels drawn from the scores themselves are calibrated up to noise; half the score is not."""
    scores = DICE.random(20_000)
    labels = (DICE.random(20_000) < scores).astype(float)
    assert expected_calibration_error(labels, scores) < 0.02
    assert expected_calibration_error(labels, scores / 2) > 0.2


def test_metrics_refuse_scores_that_are_not_finite():
    """A NaN score is an error that says how many there are, not a NaN metric."""
    with pytest.raises(ValueError, match="1 of 2 scores are not finite"):
        compute_metrics(Task.BINARY, np.array([0.0, 1]), np.array([0.5, np.nan]))


def test_ranking_refuses_one_class():
    """Where all labels are alike there is nothing to rank."""
    with pytest.raises(ValueError, match="needs both classes"):
        compute_metrics(Task.BINARY, np.ones(4), np.full(4, 0.5))
