"""Calibration on validation rows, so that a score of 0.2 means one in five."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax

from include.contracts.signatures import Task
from include.stats.metrics import compute_metrics
from include.training.pipeline import Head

POOR_CALIBRATION = 0.02
"""Expected calibration error from which a binary network is calibrated."""

Array = npt.NDArray[np.float64]


def calibrated_head(task: Task, logits: Array, labels: Array) -> Head:
    """Return the head of a classifier, fitted to validation logits [n, K] where the raw one is poor.

    Binary: Platt scaling (Platt 1999), where the raw expected calibration error is poor. Multiclass:
    temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks"), always, since
    one parameter that leaves the ranking alone cannot overfit. What does not lower the log loss is
    not taken.
    """
    if task is Task.BINARY and _raw_error(logits, labels) <= POOR_CALIBRATION:
        return Head(task)
    both = np.hstack([np.zeros_like(logits), logits]) if task is Task.BINARY else logits
    own = labels.astype(np.int64)
    start = np.array([1.0, 0.0] if task is Task.BINARY else [1.0])

    def loss(parameters: Array) -> float:
        adjusted = both * parameters[0]
        if task is Task.BINARY:
            adjusted[:, 1] += parameters[1]
        return float(-log_softmax(adjusted, axis=1)[np.arange(len(own)), own].mean())

    fitted = minimize(loss, start, method="L-BFGS-B", bounds=[(1e-3, 1e3), (None, None)][: len(start)])
    if not loss(fitted.x) < loss(start):
        return Head(task)
    return Head(task, *(float(parameter) for parameter in fitted.x))


def _raw_error(logits: Array, labels: Array) -> float:
    chances = 1 / (1 + np.exp(-logits))
    return compute_metrics(Task.BINARY, labels, chances)["expected_calibration_error"]
