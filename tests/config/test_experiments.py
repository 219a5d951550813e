"""What a plan must not say, and what its author is told."""

import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.config.experiments import experiment_file, experiment_files
from include.config.models import ModelFolder
from include.config.settings import REPOSITORY_ROOT
from include.contracts.errors import ContractError
from tests.adapters.ledger.trials import PLAN

METRICS = [
    {"name": "came_back", "source": "outcome", "direction": "increase", "matures_in": "14d"},
    {"name": "complaint", "source": "outcome", "direction": "decrease", "matures_in": "14d"},
    {"name": "kept", "source": "label", "direction": "increase", "matures_in": "14d"},
    {"name": "error_ratio", "source": "prediction_log", "direction": "decrease", "matures_in": "1d"},
    {"name": "warmth", "source": "prediction_log", "direction": "increase", "matures_in": "1d"},
]
HALF = {"name": "control", "version": "champion", "share": 0.5}
OTHER = {"name": "treatment", "version": "candidate", "share": 0.5}


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    """Copy churn's folder, with metrics that plans may name, and no experiments."""
    source = REPOSITORY_ROOT / "include" / "models" / "churn"
    shutil.copytree(source, tmp_path / "churn", ignore=shutil.ignore_patterns("__pycache__", "experiments"))
    path = tmp_path / "churn" / "contract.yaml"
    contract = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(contract | {"experiment_metrics": METRICS}), encoding="utf-8")
    return ModelFolder(tmp_path / "churn")


def write(folder: ModelFolder, plan: dict[str, Any], name: str = "offers") -> None:
    """Write an experiment's file."""
    path = folder.path / "experiments" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(plan), encoding="utf-8")


def test_a_plan_is_read_and_its_hash_is_of_what_it_says(folder: ModelFolder) -> None:
    """Comments and order change nothing, a margin does."""
    write(folder, PLAN)
    first = experiment_files(folder)["offers"].plan
    path = folder.path / "experiments" / "offers.yaml"
    path.write_text("# a comment\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert first.sha256 == experiment_file(folder, "offers").plan.sha256
    write(folder, PLAN | {"within": "9w"})
    assert first.sha256 != experiment_file(folder, "offers").plan.sha256


REFUSALS = [
    ("variants", [HALF], r"\(file\): variants: an experiment compares 2 to 10 versions; there are 1"),
    ("variants", [], r"variants: an experiment compares 2 to 10 versions; there are 0"),
    ("variants", [HALF] * 11, r"variants: an experiment compares 2 to 10 versions; there are 11"),
    ("variants", [HALF, OTHER, OTHER], r"variants: the shares add up to 1\.5, not to 1"),
    (
        "variants",
        [HALF, OTHER | {"share": 0.25}, OTHER | {"share": 0.25, "name": "second"}],
        r"variants: they must differ in name and version",
    ),
    (
        "variants",
        [HALF, OTHER | {"share": 0.25}, {"name": "second", "version": "champion", "share": 0.25}],
        r"variants: they must differ in name and version",
    ),
    (
        "primary.covariate",
        {"feature": "height"},
        r"primary\.covariate\.feature: 'height' is no numeric input",
    ),
    (
        "primary.covariate",
        {"feature": "preferred_category"},
        r"primary\.covariate\.feature: 'preferred_category' is no numeric input",
    ),
    ("variants", [HALF, OTHER | {"share": 0.4}], r"variants: the shares add up to 0\.9, not to 1"),
    ("variants", [HALF, OTHER | {"version": "champion"}], r"variants: they must differ in name and version"),
    ("variants", [HALF, OTHER | {"version": "newest"}], r"variants\.1\.version: 'newest' .* candidate, or a"),
    ("variants", [OTHER, HALF], r"variants\.0\.version: the control is what serves"),
    ("variants.0.share", 1.0, r"variants\.0\.share: Input should be less than 1"),
    ("ramp", [0.2, 0.1], r"ramp: shares must rise from above 0 to the treatment's"),
    ("ramp", [0.6], r"ramp: shares must rise"),
    ("primary.alpha", 1.0, r"primary\.alpha: Input should be less than 1"),
    ("primary.alpha", 1.5, r"primary\.alpha: Input should be less than 1"),
    ("primary.power", 0.02, r"primary: power 0\.02 must exceed the alpha of a side, 0\.025"),
    ("primary.mde", 0.0, r"primary\.mde: Input should be greater than 0"),
    ("primary.mde", float("nan"), r"primary\.mde: Input should be greater than 0"),
    ("primary.mde", 0.6, r"primary: baseline and mde lead to a proportion of 1\.1"),
    ("primary.spending", "greedy", r"primary\.spending: Input should be 'obrien_fleming', 'pocock', "),
    ("primary.parameter", 2.0, r"primary: parameter: spending 'obrien_fleming' has none"),
    ("primary.looks", [0.5, 0.25, 1.0], r"primary: looks must rise from above 0 and end at 1\.0"),
    ("primary.looks", [0.5], r"primary: looks must rise from above 0 and end at 1\.0"),
    ("primary.futility", "pocock", r"primary: futility has a direction: it needs 'sides: 1'"),
    (
        "primary.metric",
        "profit",
        r"primary\.metric: 'profit' is not among .* there are: came_back, complaint",
    ),
    ("primary.metric", "warmth", r"primary\.metric: the prediction log has no 'warmth'; it has: error_ratio"),
    ("primary.metric", "error_ratio", r"primary\.metric: 'error_ratio' counts requests, so its kind is"),
    ("primary.direction", "decrease", r"primary\.direction: 'came_back' is better by 'increase'"),
    ("primary.kind", "median", r"primary\.kind: Input should be 'proportion', 'mean' or 'ratio'"),
    ("primary.goal", 1, r"primary\.goal: there is no such key\. Allowed here: metric, kind, direction"),
    ("unit", "household", r"unit: 'household' is not what requests are assigned by; allowed: customer_id"),
    ("within", "soon", r"within: 'soon' is not a duration"),
    ("within", "0s", r"within: must be longer than 0s"),
    ("guardrails", [], r"guardrails: Tuple should have at least 1 item"),
    ("guardrails.0.margin", 0, r"guardrails\.0\.margin: Input should be greater than 0"),
    ("guardrails.0", {"metric": "fairness", "margin": 0.1}, r"guardrails\.0: 'slice' goes with metric 'fair"),
    (
        "guardrails.0",
        {"metric": "anger", "margin": 0.1},
        r"guardrails\.0\.metric: 'anger' is not among .*: came_back, .* latency_p99_seconds, fairness",
    ),
    (
        "guardrails.0",
        {"metric": "fairness", "margin": 0.1, "slice": "shoe.size"},
        r"guardrails\.0\.slice: 'shoe\.size' is no slice; allowed: customer_demographics\.age",
    ),
    (
        "guardrails",
        [{"metric": "error_ratio", "margin": 0.1}] * 2,
        r"guardrails: named more than once: error_ratio",
    ),
    ("population", [{"feature": "shoe", "minimum": 1}], r"population\.0\.feature: 'shoe' is no input; allow"),
    (
        "population",
        [{"feature": "preferred_category", "minimum": 1}],
        r"population\.0: 'preferred_category' is categorical; give values",
    ),
    ("population", [{"feature": "total_spend_30d"}], r"population\.0: give 'minimum' and 'maximum', or"),
    ("name", "bids", r"name: 'bids' must equal the file's name, 'offers'"),
    ("salt", "a b", r"salt: String should match pattern"),
    ("owner", "ada", r"owner: there is no such key"),
]


@pytest.mark.parametrize(("path", "value", "message"), REFUSALS)
def test_a_plan_that_cannot_be_meant_is_refused(folder, path, value, message):
    """The file, the key's path, the reason and what is allowed."""
    written: Any = deepcopy(PLAN)
    *parents, last = path.split(".")
    place = written
    for key in parents:
        place = place[int(key) if isinstance(place, list) else key]
    place[int(last) if isinstance(place, list) else last] = value
    write(folder, written)
    with pytest.raises(ContractError, match=message) as refused:
        _ = experiment_file(folder, "offers").plan
    assert "experiments/offers.yaml" in str(refused.value)


def test_a_missing_file_is_told(folder):
    """It is an error of its own, with the path."""
    with pytest.raises(ContractError, match=r"experiments/offers\.yaml is missing"):
        _ = experiment_file(folder, "offers").plan
