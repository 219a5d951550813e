import pytest

from include.contracts.model import Baseline, ChampionGate, Metric, Threshold
from include.contracts.reports import GateReason, Verdict
from include.evaluation.gates import (
    baseline_gate,
    champion_gate,
    incomparable_champion,
    no_champion,
    parity_gate,
    threshold_gate,
)
from include.stats.bootstrap import PairedDifference

PASS, FAIL = Verdict.PASS, Verdict.FAIL
NAN = float("nan")


@pytest.mark.parametrize(
    ("bound", "value", "verdict"),
    [
        ({"minimum": 0.77}, 0.80, PASS),
        ({"minimum": 0.77}, 0.77, PASS),
        ({"minimum": 0.77}, 0.7699, FAIL),
        ({"minimum": 0.77}, NAN, FAIL),
        ({"maximum": 0.05}, 0.05, PASS),
        ({"maximum": 0.05}, 0.0501, FAIL),
        ({"maximum": 0.05}, NAN, FAIL),
    ],
)
def test_threshold(bound, value, verdict):
    """Reaching the bound is enough; what is no number never reaches it."""
    gate = Threshold(metric=Metric.ROC_AUC, **bound)
    assert verdict is threshold_gate(gate, {"roc_auc": value}, rows=10).verdict


def test_a_threshold_says_its_figures():
    """The sentence for people has value, bound and rows."""
    found = threshold_gate(Threshold(metric=Metric.ROC_AUC, minimum=0.77), {"roc_auc": 0.7012}, rows=99)
    assert "roc_auc 0.7012 on 99 test rows; must be at least 0.7700" == found.detail
    assert (0.7012, 0.77) == (found.value, found.bound)


@pytest.mark.parametrize(
    ("metric", "value", "baseline", "verdict"),
    [
        (Metric.ROC_AUC, 0.75, 0.70, PASS),
        (Metric.ROC_AUC, 0.74, 0.70, FAIL),
        (Metric.MEAN_ABSOLUTE_ERROR, 1.00, 1.05, PASS),
        (Metric.MEAN_ABSOLUTE_ERROR, 1.04, 1.05, FAIL),
        (Metric.MEAN_ABSOLUTE_ERROR, 1.20, 1.05, FAIL),
    ],
)
def test_baseline(metric, value, baseline, verdict):
    """The model must be better by the margin, whichever way better lies."""
    gate = Baseline(feature="recency", metric=metric, margin=0.05 - 1e-12)
    assert verdict is baseline_gate(gate, value, baseline).verdict


@pytest.mark.parametrize(
    ("metric", "difference", "lower", "upper", "verdict"),
    [
        (Metric.ROC_AUC, 0.0, 0.0, 0.0, PASS),
        (Metric.ROC_AUC, -0.001, -0.003, 0.001, PASS),
        (Metric.ROC_AUC, 0.02, 0.01, 0.03, PASS),
        (Metric.ROC_AUC, -0.004, -0.008, 0.0, FAIL),
        (Metric.ROC_AUC, 0.001, -0.2, 0.2, FAIL),
        (Metric.BRIER, 0.001, -0.003, 0.004, PASS),
        (Metric.BRIER, 0.004, 0.001, 0.009, FAIL),
        (Metric.BRIER, -0.02, -0.03, -0.01, PASS),
    ],
    ids=["same", "near", "better", "worse", "too little data", "near loss", "worse loss", "better loss"],
)
def test_champion(metric, difference, lower, upper, verdict):
    """The limit of the difference decides, not the difference; too wide an interval is no pass."""
    found = champion_gate(
        ChampionGate(metric=metric, tolerance=0.005),
        PairedDifference(difference, lower, upper, 0.95, 500),
        value=0.8 + difference,
        champion_value=0.8,
        champion="1.2.0",
        rows=5_000,
    )
    assert verdict is found.verdict
    assert "champion 1.2.0 on the same 5000 rows" in found.detail


def test_without_a_champion_there_is_nothing_to_decide():
    """The first version is not held up."""
    gate = ChampionGate(metric=Metric.ROC_AUC, tolerance=0.005)
    assert Verdict.NOT_APPLICABLE is no_champion(gate).verdict


def test_a_champion_that_cannot_be_compared_is_no_pass():
    """No evidence never promotes; the lacking feature and the way out are named."""
    gate = ChampionGate(metric=Metric.ROC_AUC, tolerance=0.005)
    found = incomparable_champion(gate, "1.2.0", "the rows lack age: train again")
    assert (FAIL, GateReason.CHAMPION_NOT_COMPARABLE) == (found.verdict, found.reason)
    assert "champion 1.2.0 cannot be compared: the rows lack age: train again" == found.detail


@pytest.mark.parametrize(
    ("difference", "verdict"), [(1e-7, PASS), (1e-5, PASS), (1.1e-5, FAIL), (3e38, FAIL), (None, FAIL)]
)
def test_parity(difference, verdict):
    """A difference beyond the tolerance, or never measured, fails."""
    assert verdict is parity_gate(difference).verdict
