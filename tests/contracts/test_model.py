from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from include.contracts.model import ModelContract
from include.contracts.monitoring import Monitoring

ROOT = Path(__file__).parents[2]
CHURN = yaml.safe_load((ROOT / "include" / "models" / "churn" / "contract.yaml").read_text(encoding="utf-8"))

MONITORING_BLOCK = ROOT / "tests" / "monitoring" / "monitoring_block.yaml"
"""As teams write it: the reference article's, letter for letter."""
MONITORING = yaml.safe_load(MONITORING_BLOCK.read_text(encoding="utf-8"))["monitoring"]


def changed(path: str, value: object) -> dict:
    """Return churn's contract with one key set (or removed, for None)."""
    contract = deepcopy(CHURN)
    *parents, last = path.split(".")
    place = contract
    for part in parents:
        place = place[int(part)] if part.isdigit() else place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return contract


def test_churn_is_a_valid_contract():
    """The shipped example passes its own schema."""
    assert ModelContract.model_validate(CHURN).name == "churn"


def holds(kept: object, written: object) -> bool:
    """Say whether all that was written was kept; defaults may stand beside it."""
    if isinstance(written, dict):
        return isinstance(kept, dict) and all(holds(kept.get(key), value) for key, value in written.items())
    if isinstance(written, list):
        return isinstance(kept, list) and all(map(holds, kept, written)) and len(kept) == len(written)
    return kept == written


def test_monitoring_block_is_taken_as_teams_write_it():
    """Every key of the block is known, none is lost."""
    monitoring = ModelContract.model_validate(CHURN | {"monitoring": MONITORING}).monitoring
    kept = monitoring.model_dump(mode="json")
    kept["prediction_drift"]["metrics"][0]["window"] = "24h"
    assert holds(kept, MONITORING)


@pytest.mark.parametrize(
    ("path", "value", "where", "what"),
    [
        ("unknown", 1, "unknown", "Extra inputs"),
        ("training.epochs", 5, "training.epochs", "Extra inputs"),
        ("label.delay", None, "label.delay", "Field required"),
        ("label.delay", "two weeks", "label.delay", "48h, 14d"),
        ("features.inputs.0.view", None, "features.inputs.0", "exactly one of 'view' and 'transform'"),
        ("features.inputs.4.minimum", 0, "features.inputs.4", "categorical"),
        ("features.service", "churn", "features.service", "pattern"),
        ("gates.thresholds.0.metric", "r2", "", "not defined for a binary model"),
        ("gates.thresholds.0.minimum", None, "gates.thresholds.0", "exactly one of"),
        ("gates.baseline.feature", "age", "", "not an input"),
        ("rollout.stages", [{"share": 0.5, "hold": "1h"}], "rollout", "end at 1.0"),
        (
            "rollout.stages",
            [{"share": 1.0, "hold": "1h"}, {"share": 0.5, "hold": "1h"}],
            "rollout",
            "must rise",
        ),
        ("approvers.quorum", 3, "approvers", "cannot be reached"),
        ("serving.default_score", None, "", "default_score is missing"),
        ("serving.default_score", [0.2, 0.8], "", "serving.default_score: needs 1 finite"),
        ("serving.default_score", [float("nan")], "", "serving.default_score: needs 1 finite"),
        ("task", "multiclass", "", "classes"),
        ("classes", ["no", "yes"], "", "classes"),
        ("features.inputs.1.name", "total_spend_30d", "", "features.inputs: inputs named more than once"),
        (
            "monitoring",
            {"feature_drift": {"schedule": "daily", "test": {}}},
            "monitoring.feature_drift.test",
            "Extra",
        ),
    ],
)
def test_a_wrong_key_is_refused_with_its_path(path, value, where, what):
    """What is wrong, and where."""
    with pytest.raises(ValidationError) as caught:
        ModelContract.model_validate(changed(path, value))
    problems = [(".".join(map(str, item["loc"])), item["msg"]) for item in caught.value.errors()]
    assert any(where == place and what in message for place, message in problems), problems


def test_the_hash_ignores_formatting_and_sees_content():
    """Comments and order of keys do not make a new contract; a threshold does."""
    contract = ModelContract.model_validate(CHURN)
    assert contract.sha256 == ModelContract.model_validate(dict(reversed(CHURN.items()))).sha256
    assert contract.sha256 != ModelContract.model_validate(changed("gates.thresholds.0.minimum", 0.78)).sha256


def test_monitoring_may_be_empty():
    """A model may begin without monitors."""
    assert Monitoring() == ModelContract.model_validate(changed("monitoring", None)).monitoring
