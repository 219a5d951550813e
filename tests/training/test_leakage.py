import numpy as np
import pytest

from include.contracts.errors import DataError
from include.training.leakage import check_leaks, single_feature_skill
from tests.synthetic import churn_folder, customers

DICE = np.random.default_rng(2)


@pytest.fixture
def contract(tmp_path):
    """A binary contract of four numbers and a category."""
    return churn_folder(tmp_path).contract


def test_honest_features_pass(contract):
    """The strongest is well below the bound."""
    check_leaks(contract, customers())
    skills = single_feature_skill(contract, customers())
    assert {item.name for item in contract.features.inputs} == skills.keys()
    assert 0.9 > max(skills.values()) > 0.6


def turned(label):
    """A number that is small where the label is 1."""
    return -label + DICE.normal(0, 0.1, len(label))


def in_the_middle(label):
    """A number near 0 where the label is 1, and far from it on either side where not."""
    return np.where(label == 1, 0, DICE.choice([-1, 1], len(label))) + DICE.normal(0, 0.01, len(label))


def missing(label):
    """A number that is there only where the label is 0."""
    return np.where(label == 1, np.nan, DICE.normal(size=len(label)))


@pytest.mark.parametrize("leak", [turned, in_the_middle, missing])
def test_a_leaking_number_is_named_with_its_figure(contract, leak):
    """Whichever way it points, and though it lie in what is missing."""
    frame = customers()
    spoilt = frame.assign(total_spend_30d=leak(frame["label"].to_numpy()))
    with pytest.raises(DataError, match=r"leaks: total_spend_30d (0\.9[5-9]\d*|1\.0000) \(roc_auc on 9000 "):
        check_leaks(contract, spoilt)


def test_a_leaking_category_is_named(contract):
    """A category that only the one class has."""
    frame = customers()
    spoilt = frame.assign(preferred_category=np.where(frame["label"] == 1, "CLOSED", "OPEN"))
    with pytest.raises(DataError, match=r"it leaks: preferred_category 1\.0000"):
        check_leaks(contract, spoilt)


def test_a_category_of_its_own_for_each_row_is_no_leak(contract):
    """An identifier fits its own rows perfectly and says nothing about others."""
    frame = customers()
    spoilt = frame.assign(preferred_category=[f"id {place}" for place in range(len(frame))])
    assert 0.6 > single_feature_skill(contract, spoilt)["preferred_category"]


def test_empty_and_constant_features_have_no_skill(contract):
    """They are no leak, and no error."""
    frame = customers().assign(total_spend_30d=np.nan, avg_order_value_30d=1.0)
    skills = single_feature_skill(contract, frame)
    assert {0.5} == {round(skills[name], 1) for name in ("total_spend_30d", "avg_order_value_30d")}


def test_a_regression_leaks_in_r2(tmp_path):
    """Twice the target is a leak, noise as large as the target is none."""
    contract = churn_folder(
        tmp_path,
        task="regression",
        gates={
            "thresholds": [{"metric": "r2", "minimum": 0.1}],
            "baseline": {"metric": "r2"},
            "champion": {"metric": "r2"},
            "benchmark": {"thresholds": []},
            "slices": [],
        },
        serving={"fallbacks": ["refuse"], "default_score": None},
    ).contract
    frame = customers()
    frame["label"] = DICE.lognormal(3, 1, len(frame))
    noisy = frame.assign(total_spend_30d=frame["label"] * DICE.lognormal(0, 1, len(frame)))
    check_leaks(contract, noisy)
    with pytest.raises(DataError, match=r"total_spend_30d 1\.0000 \(r2 on"):
        check_leaks(contract, frame.assign(total_spend_30d=2 * frame["label"]))
    with pytest.raises(DataError, match=r"total_spend_30d 1\.0000 \(r2 on"):
        check_leaks(contract, frame.assign(total_spend_30d=np.log(frame["label"]) ** 3))


def test_the_bound_is_the_contract_s(tmp_path):
    """Where a feature may be that good, the contract says so."""
    contract = churn_folder(tmp_path, training={"leak_bound": 0.6}).contract
    with pytest.raises(DataError, match=r"at most 0\.6"):
        check_leaks(contract, customers())
