import numpy as np
import pytest
from scipy.special import expit

from include.contracts.signatures import Task
from include.training.calibration import calibrated_head

DICE = np.random.default_rng(6)
TRUE = DICE.normal(-1, 1.5, (20_000, 1))
LABELS = (DICE.random(20_000) < expit(TRUE[:, 0])).astype(float)


def test_overconfident_logits_are_brought_back():
    """Logits stretched by 3 and moved by 1 are fitted with a scale of 1/3 and a shift of -1/3."""
    head = calibrated_head(Task.BINARY, 3 * TRUE + 1, LABELS)
    assert pytest.approx((1 / 3, -1 / 3), abs=0.05) == (float(head.scale), float(head.shift))


def test_calibrated_logits_are_left_alone():
    """Where the raw error is small nothing is fitted."""
    head = calibrated_head(Task.BINARY, TRUE, LABELS)
    assert (1.0, 0.0) == (float(head.scale), float(head.shift))


def test_multiclass_logits_get_one_temperature():
    """Logits stretched by 2 are fitted with a scale of 1/2."""
    logits = DICE.normal(size=(20_000, 3))
    labels = (logits + DICE.gumbel(size=logits.shape)).argmax(axis=1).astype(float)
    head = calibrated_head(Task.MULTICLASS, 2 * logits, labels)
    assert pytest.approx((0.5, 0.0), abs=0.03) == (float(head.scale), float(head.shift))
