"""Worse by other inputs, or by a changed relation?"""

import numpy as np
import pytest
from scipy.special import expit

from include.contracts.model import Metric
from include.contracts.performance import Cause
from include.contracts.signatures import Task
from include.stats.reweighting import LARGEST_WEIGHT, Sample, density_ratios, explain


def sample(rows: int, seed: int, *, shift: float = 0.0, scale: float = 1.0, flipped: float = 0.0) -> Sample:
    """Rows of four inputs, one of them never known; beyond one of the first, the model knows less."""
    dice = np.random.default_rng(seed)
    inputs = dice.normal(size=(rows, 4))
    inputs[:, 0] = inputs[:, 0] * scale + shift
    signal = 1.5 * inputs[:, 1] + inputs[:, 2]
    chances = expit(np.where(inputs[:, 0] > 1, 0.2, 1.0) * signal - 0.8)
    chances = np.where(dice.random(rows) < flipped, 1 - chances, chances)
    inputs[:, 3] = np.nan
    labels = (dice.random(rows) < chances).astype(np.float64)
    return Sample(inputs, labels, expit(signal - 0.8), np.arange(rows))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"shift": 1.6}, Cause.DATA),
        ({"flipped": 0.3}, Cause.CONCEPT),
        ({"shift": 3.0, "scale": 100.0}, Cause.UNLIKE),
    ],
)
def test_the_cause_is_named(changes, expected):
    """Of a decline whose cause is known, with both parts, or with none where nothing can be said."""
    found = explain(Metric.ROC_AUC, Task.BINARY, sample(5_000, 1), sample(1_500, 2, **changes), seed=1)

    assert expected is found.cause
    assert found.decline > 0.05
    assert (expected is Cause.UNLIKE) == (found.explained is None)
    if found.explained is not None:
        assert found.decline == pytest.approx(found.explained.value + found.unexplained.value)


def test_a_loss_is_worse_when_it_grows():
    """Positive is worse, whichever way the metric points."""
    found = explain(Metric.LOG_LOSS, Task.BINARY, sample(3_000, 1), sample(1_000, 2, flipped=0.3), seed=1)
    assert (Cause.CONCEPT, True) == (found.cause, found.decline > 0)


def test_few_rows_decide_nothing():
    """Below two hundred on either side."""
    found = explain(Metric.ROC_AUC, Task.BINARY, sample(5_000, 1), sample(150, 2, flipped=0.5), seed=1)
    assert (Cause.UNDECIDED, None) == (found.cause, found.explained)


def test_density_ratios_are_those_of_the_densities():
    """Two normals one apart: the log ratio is a line of slope one; nothing known, all alike."""
    dice = np.random.default_rng(3)
    reference, current = dice.normal(size=(8_000, 1)), dice.normal(1, 1, size=(8_000, 1))
    ratios = density_ratios(reference, current, seed=1)
    middle = np.abs(reference[:, 0] - 0.5) < 1
    slope = np.polyfit(reference[middle, 0], np.log(ratios[: len(reference)][middle]), 1)[0]

    assert 1.0 == pytest.approx(slope, abs=0.15)
    assert ratios.max() <= LARGEST_WEIGHT
    assert {1.0} == set(density_ratios(np.full((9, 2), np.nan), np.full((9, 2), np.nan), seed=1))
