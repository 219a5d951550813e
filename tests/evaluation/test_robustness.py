import numpy as np
import pytest

from include.contracts.errors import ModelError
from include.contracts.model import RobustnessGate
from include.contracts.reports import GateReason, Perturbation, ProbeOutcome, Verdict
from include.contracts.signatures import FeatureInput, FeatureKind
from include.evaluation.robustness import HUGE, perturbations, robustness_gate, robustness_probes
from include.evaluation.scored import Scored
from include.stats.metrics import compute_metrics
from tests.synthetic import churn_folder, customers

GATE = RobustnessGate(affected_share=0.1, maximum_degradation=0.05, maximum_degradation_extreme=0.25)


class Ranker:
    """Scores rows by recency; `change` has a say about numbers and texts."""

    def __init__(self, change=None):
        self.change = change

    def predict_arrays(self, numeric, categorical):
        recency = np.nan_to_num(numeric[:, 3], nan=5.0).clip(0, 30)
        scores = (0.02 + recency / 32)[:, None].astype(np.float32)
        return self.change(scores, numeric, categorical) if self.change else scores

    def predict(self, rows):
        numbers = rows[["total_spend_30d", "avg_order_value_30d", "transaction_count_30d"]]
        recency = rows[["days_since_last_purchase"]]
        together = np.hstack([numbers, recency]).astype(np.float32)
        return self.predict_arrays(together, rows[["preferred_category"]].to_numpy())


def probed(place, model):
    """Return the probes of a model on made-up rows."""
    contract = churn_folder(place).contract
    rows = customers(weeks=4)
    labels, scores = rows["label"].to_numpy(), Ranker().predict(rows).astype(np.float64)
    judged = Scored(contract, rows, labels, scores, compute_metrics(contract.task, labels, scores))
    return robustness_probes(judged, model, contract.signature)


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ({"minimum": 0}, {"missing": np.nan, "smallest": 0.0, "largest": HUGE}),
        ({"maximum": 1, "nullable": False}, {"smallest": -HUGE, "largest": 1.0}),
        ({"kind": FeatureKind.CATEGORICAL}, {"missing": "", "unknown_category": "\0unknown"}),
        ({"kind": FeatureKind.CATEGORICAL, "nullable": False}, {"unknown_category": "\0unknown"}),
    ],
)
def test_only_what_can_reach_the_model_is_tried(feature, expected):
    """What the contract forbids is refused before the model."""
    item = FeatureInput(**{"name": "f", "kind": FeatureKind.NUMERIC, "view": "v"} | feature)
    assert str(expected) == str({key.value: value for key, value in perturbations(item).items()})


def test_a_model_that_bears_all_passes(tmp_path):
    """Four numbers have three probes each, a category two; each spoils a tenth of the rows."""
    probes = probed(tmp_path, Ranker())
    assert (14, {100}) == (len(probes), {probe.affected_rows for probe in probes})
    assert {ProbeOutcome.FINITE} == {probe.outcome for probe in probes}
    gate = robustness_gate(GATE, probes)
    assert (Verdict.PASS, GateReason.REACHED) == (gate.verdict, gate.reason)
    untouched = [probe for probe in probes if probe.feature == "total_spend_30d"]
    assert {(0.0, 0.0)} == {(probe.degradation, probe.mean_score_change) for probe in untouched}


def no_number(scores, numeric, _):
    """NaN where the third number is missing."""
    return scores + 0 * numeric[:, 2:3]


def crash(scores, _, categorical):
    """Fail on a category never seen."""
    if "\0unknown" in categorical[:, 0]:
        raise ModelError("index out of range")
    return scores


def certain(scores, numeric, _):
    """Take a missing recency for a certain no."""
    return np.where(np.isnan(numeric[:, 3:4]), 0.0, scores)


@pytest.mark.parametrize(
    ("change", "reason", "subject"),
    [
        (no_number, GateReason.NOT_FINITE, "transaction_count_30d missing"),
        (crash, GateReason.CRASHED, "preferred_category unknown category"),
        (certain, GateReason.DEGRADES_TOO_MUCH, "days_since_last_purchase missing"),
    ],
)
def test_what_a_model_cannot_bear_is_named(tmp_path, change, reason, subject):
    """The input and what was done to it, beside the reason."""
    bound = GATE.model_copy(update={"maximum_degradation": 0.02})
    gate = robustness_gate(bound, probed(tmp_path, Ranker(change)))
    assert (Verdict.FAIL, reason, subject) == (gate.verdict, gate.reason, gate.subject)
    assert "1 of 14 probes missed" in gate.detail


def test_extreme_values_have_a_bound_of_their_own(tmp_path):
    """A number that rightly decides a score is no fault at 25 %, and one at 1 %."""
    probes = probed(tmp_path, Ranker())
    worst = max(probes, key=lambda probe: probe.degradation)
    assert Perturbation.LARGEST is worst.perturbation
    strict = GATE.model_copy(update={"maximum_degradation_extreme": 0.01})
    assert 0.01 < worst.degradation < 0.25
    assert GateReason.DEGRADES_TOO_MUCH is robustness_gate(strict, probes).reason
