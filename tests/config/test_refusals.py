"""What a contract must not say, and what its author is told: the key's path, the reason, what is allowed."""

import json
import re
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.config.models import ModelFolder
from include.config.settings import REPOSITORY_ROOT
from include.contracts.errors import ContractError
from tests.dags.parsing import parse, parsing_environment

CHURN = REPOSITORY_ROOT / "include" / "models" / "churn"
CONTRACT = yaml.safe_load((CHURN / "contract.yaml").read_text(encoding="utf-8"))
MATURING = {"name": "kept", "source": "label", "direction": "increase", "matures_in": "1d"}
SLOW_RAMP = [{"share": 0.5, "hold": "1h"}, {"share": 1.0, "hold": "0s"}]
LATE = {"metric": "latency_p99_seconds", "margin": 0.1, "matures_in": "2h"}
RAMP = [{"share": 0.5, "hold": "0s"}, {"share": 1.0, "hold": "0s"}]
DOUBLE = [{"metric": "roc_auc", "minimum": 0.7}, {"metric": "roc_auc", "minimum": 0.8}]
ALERT_ON = "10% degradation vs trailing 30-day average"
SCORES = {"name": "prediction_distribution", "method": "chi_squared"}
TRIGGER = "performance degradation > 15% for 3 consecutive days"
RETRAIN = {"trigger": "roc_auc degradation > 15% for 3 consecutive days"}
NEVER = [{"metric": "roc_auc", "minimum": 0.9}, {"metric": "roc_auc", "maximum": 0.8}]


def drift(**keys: Any) -> dict[str, Any]:
    """Return a monitoring block that watches the scores."""
    return {"prediction_drift": {"schedule": "daily", "metrics": [keys]}}


def performance(**keys: Any) -> dict[str, Any]:
    """Return a monitoring block that watches performance."""
    block = {"schedule": "daily", "label_delay": "14d", "metrics": ["recall"], "alert_on": ALERT_ON}
    return {"performance_monitoring": block | keys}


REFUSALS = [
    # Keys nobody knows, at each level.
    ("trainig", {}, r"trainig: there is no such key; did you mean 'training'\? Allowed here: name, "),
    ("training.histroy", "9d", r"training\.histroy: .*did you mean 'history'\?"),
    ("label.lag", "9d", r"label\.lag: there is no such key\. Allowed here: description, delay"),
    ("features.inputs.0.veiw", "x", r"features\.inputs\.0\.veiw: .*did you mean 'view'\?"),
    ("gates.thresholds.0.min", 0.5, r"gates\.thresholds\.0\.min: .*did you mean 'minimum'\?"),
    ("rollout.stages.0.shares", 1, r"rollout\.stages\.0\.shares: .*did you mean 'share'\?"),
    ("monitoring", {"feature_drfit": {}}, r"monitoring\.feature_drfit: .*did you mean 'feature_drift'\?"),
    # Values that are none of those there are.
    ("task", "ranking", r"task: Input should be 'binary', 'multiclass' or 'regression'"),
    ("features.stale_policy", "wait", r"features\.stale_policy: Input should be 'reject' or 'default'"),
    ("serving.fallbacks", ["guess"], r"serving\.fallbacks\.0: Input should be 'champion', "),
    ("gates.champion.metric", "auc", r"gates\.champion\.metric: Input should be 'roc_auc', "),
    ("label.delay", None, r"label\.delay: is missing"),
    ("label.delay", "soon", r"label\.delay: 'soon' is not a duration; write a whole number and"),
    ("schedules.train", "0 25 * * 1", r"schedules\.train: .*'25' is no hour; it takes 0 to 23"),
    ("schedules.train", "monday", r"schedules\.train: 'monday' is not a cron expression: it has 1 fields"),
    ("monitoring", drift(name="x"), r"prediction_drift\.metrics\.0\.name: Input should be 'prediction_"),
    # What the data does not have.
    (
        "slices.0.column",
        "shoe",
        r"slices\.0: the view 'customer_demographics' has no column 'shoe'; it has",
    ),
    ("slices.0.view", "feet", r"slices\.0\.view: there is no feature view 'feet'; shared ones: customer_"),
    ("features.inputs.0.name", "total", r"features\.inputs\.0: the view 'customer_spending' has no column"),
    ("features.inputs.0.view", "spend", r"features\.inputs\.0\.view: there is no feature view 'spend'"),
    ("features.inputs.4.kind", "numeric", r"features\.inputs\.4\.kind: 'preferred_category' .* is string"),
    ("features.inputs.20.transform", "since", r"features\.inputs\.20\.transform: no transform 'since'"),
    ("features.inputs.20.reads.0.name", "epoch", r"features\.inputs\.20\.reads\.0: .* no column 'epoch'"),
    ("entity.type", "string", r"entity: the view 'customer_basket' is kept by customer_id \(int64\)"),
    # Gates that cannot be passed, or that let everything pass.
    (
        "gates.thresholds.0.minimum",
        1.2,
        r"thresholds\.0\.minimum: 1\.2 can never be reached; .* most 1",
    ),
    ("gates.thresholds.1.maximum", -0.1, r"gates\.thresholds\.1\.maximum: -0\.1 can never be kept"),
    ("gates.thresholds.0.minimum", float("nan"), r"gates\.thresholds\.0\.minimum: nan can never"),
    ("gates.thresholds", NEVER, r"gates\.thresholds\.1: roc_auc can never be at least 0\.9 and at most 0\.8"),
    ("gates.thresholds", DOUBLE, r"gates\.thresholds\.1: roc_auc has two bounds on the same side"),
    ("gates.slices", NEVER, r"gates\.slices\.1: roc_auc can never be at least 0\.9 and at most 0\.8"),
    (
        "gates.benchmark",
        {"thresholds": [{"metric": "roc_auc", "minimum": 2}]},
        r"gates\.benchmark\.thresholds\.0\.minimum: 2 can never be reached",
    ),
    ("gates.baseline.margin", 2, r"gates\.baseline\.margin: 2 can never be reached"),
    ("gates.champion.tolerance", 1, r"gates\.champion\.tolerance: 1 lets everything pass"),
    ("gates.baseline.margin", 1.0, r"gates\.baseline\.margin: 1 can never be reached"),
    (
        "gates.benchmark.windows",
        50,
        r"windows: 50 parts of 28d are shorter than training\.snapshot_every, 7d",
    ),
    ("slices", [], r"gates\.slices: bounds slices, but 'slices' names none"),
    (
        "gates.benchmark.thresholds.0.minimum",
        0.95,
        r"gates\.benchmark\.thresholds\.0: roc_auc at least 0\.95 .* gates\.thresholds\.1, at most 0\.9",
    ),
    (
        "gates.slices.0",
        {"metric": "roc_auc", "maximum": 0.6},
        r"gates\.slices\.0: roc_auc at most 0\.6 .* gates\.thresholds\.0, at least 0\.77",
    ),
    # Keys that contradict each other.
    ("approvers.quorum", 3, r"approvers: quorum 3 cannot be reached by 2 approvers"),
    ("approvers.users", ["ada", "ada"], r"approvers\.users: named more than once: ada"),
    # A ramp that could never be judged.
    (
        "rollout.guardrails",
        [{"metric": "complaint_ratio", "margin": 0.1}],
        r"rollout\.guardrails\.0\.metric: 'complaint_ratio' is not measured of every request",
    ),
    (
        "rollout.guardrails",
        [{"metric": "error_ratio", "margin": 0.1}],
        r"rollout\.guardrails\.0\.baseline: without what is expected, no number of requests",
    ),
    (
        "rollout.guardrails",
        [{"metric": "error_ratio", "margin": 0.5, "baseline": 0.1}],
        r"rollout\.guardrails\.0\.margin: 0\.5 lets nearly every request fail",
    ),
    (
        "rollout",
        {"stages": SLOW_RAMP, "bake": "0s", "guardrails": [LATE]},
        r"latency_p99_seconds is known 2h after a request, and rollout\.stages\.0 holds 1h only",
    ),
    (
        "rollout.labels",
        [{"metric": "brier", "maximum": 0.2}],
        r"rollout\.labels\.0\.metric: a label is known 14d .* rollout\.bake is over after 0s",
    ),
    (
        "rollout.labels",
        [{"metric": "revenue", "minimum": 0.7}],
        r"rollout\.labels\.0\.metric: 'revenue' is not measured",
    ),
    (
        "rollout.labels",
        [{"metric": "brier"}],
        r"'brier' needs exactly one of 'minimum' and 'maximum'",
    ),
    ("rollout.stages", RAMP, r"rollout\.stages\.0: at share 0\.5 it neither holds nor waits for requests"),
    ("serving.fallbacks", ["refuse", "default_score"], r"nothing after 'refuse' is ever reached"),
    ("serving.fallbacks", ["refuse"], r"serving\.default_score: is given, but serving\.fallbacks does not"),
    ("serving.fallbacks", ["default_score"] * 2, r"serving\.fallbacks: named more than once: default_score"),
    ("serving.default_score", [1.5], r"serving\.default_score: \[1\.5\] are no probabilities"),
    ("features.inputs.0.maximum", -1, r"features\.inputs\.0: nothing lies between minimum 0\.0 and maximum"),
    ("training.snapshot_every", "0s", r"training\.snapshot_every: must be longer than 0s"),
    ("training.history", "30d", r"training\.history is 30d, but .* it must exceed 98d"),
    ("slices", CONTRACT["slices"][:1] * 2, r"slices: named more than once: customer_demographics\.age"),
    ("experiment_metrics", [MATURING], r"matures_in: 1d is before the label is known, 14d after"),
    (
        "monitoring",
        drift(name="confidence_calibration", method="chi_squared"),
        r"metrics\.0\.method: 'confidence_calibration' is measured by 'expected_calibration_error'",
    ),
    (
        "monitoring",
        drift(name="confidence_calibration", method="expected_calibration_error"),
        r"'confidence_calibration' needs labels, which 'monitoring\.performance_monitoring' joins",
    ),
    ("monitoring", performance(metrics=["r2"]), r"metrics\.0: 'r2' is no metric of a binary model"),
    ("monitoring", performance(schedule="often"), r"schedule: write 'every <number> minutes' or 'every"),
    ("monitoring", performance(schedule="every 5 hours"), r"schedule: 'every 5 hours' does not divide time"),
    ("monitoring", performance(label_delay="soon"), r"label_delay: 'soon' is not a duration"),
    ("monitoring", performance(metrics=["recall"] * 2), r"metrics: named more than once: recall"),
    ("monitoring", performance(alert_on="any"), r"alert_on: 'any' cannot be read; write '<number>% degrad"),
    (
        "monitoring",
        {"prediction_drift": {"schedule": "daily", "metrics": [SCORES, SCORES]}},
        r"prediction_drift\.metrics: named more than once: prediction_distribution",
    ),
    (
        "monitoring",
        performance() | {"auto_retrain": RETRAIN | {"trigger": "when bad"}},
        r"auto_retrain\.trigger: 'when bad' cannot be read; write '<performance, or a metric> degradation",
    ),
    (
        "monitoring",
        performance() | {"auto_retrain": RETRAIN},
        r"auto_retrain\.trigger: 'roc_auc' is not among monitoring\.performance_monitoring\.metrics: recall",
    ),
    (
        "monitoring",
        {"auto_retrain": RETRAIN},
        r"auto_retrain\.trigger: nothing measures performance; it needs 'monitoring\.performance_monit",
    ),
    (
        "monitoring",
        performance() | {"auto_retrain": RETRAIN | {"pipeline": "ours/v2", "trigger": TRIGGER}},
        r"auto_retrain\.pipeline: nothing says what 'ours/v2' stands for; leave the key out for",
    ),
    (
        "monitoring",
        {"feature_drift": {"schedule": "daily", "reference_dataset": "s3://a/b.parquet"}},
        r"feature_drift\.reference_dataset: nothing says where 's3://a/b\.parquet' lies; map its prefix",
    ),
    ("owner.email", "the team", r"owner\.email: 'the team' is no e-mail address"),
    ("owner.on_call", " ", r"owner\.on_call: is empty"),
]


def changed(path: str, value: object) -> dict[str, Any]:
    """Return churn's contract with one key set (or removed, for None)."""
    contract = deepcopy(CONTRACT)
    *parents, last = path.split(".")
    place = contract
    for part in parents:
        place = place[int(part)] if part.isdigit() else place[part]
    if value is None:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return contract


def folder_of(contract: dict[str, Any], place: Path, name: str = "churn") -> ModelFolder:
    """Write a model folder with a contract."""
    folder = place / name
    shutil.copytree(CHURN, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "contract.yaml").write_text(yaml.safe_dump(contract | {"name": name}), encoding="utf-8")
    return ModelFolder(folder)


@pytest.mark.parametrize(("path", "value", "told"), REFUSALS)
def test_it_is_refused_with_its_path_and_the_reason(path, value, told, tmp_path):
    """Loading says where and why, and what would be right."""
    with pytest.raises(ContractError) as caught:
        _ = folder_of(changed(path, value), tmp_path).contract
    assert re.search(told, str(caught.value)), str(caught.value)


def test_every_contradiction_is_told_at_once(tmp_path):
    """One load names all that is wrong."""
    contract = changed("gates.champion.tolerance", 1)
    contract["approvers"] = {"users": ["ada", "ada"]}
    with pytest.raises(ContractError) as caught:
        _ = folder_of(contract, tmp_path).contract
    assert 3 == len(str(caught.value).splitlines())


def test_a_key_written_twice_is_refused(tmp_path):
    """The last one does not win in silence."""
    folder = folder_of(CONTRACT, tmp_path)
    with (folder.path / "contract.yaml").open("a") as file:
        file.write("task: regression\n")
    with pytest.raises(ContractError, match=r"'task' is written twice, again in line \d+"):
        _ = folder.contract


def test_a_models_own_view_comes_before_the_shared_one(tmp_path):
    """What a model folder defines is what its contract is held against."""
    folder = folder_of(CONTRACT, tmp_path)
    shared = REPOSITORY_ROOT / "include" / "features" / "views" / "customer_demographics.yaml"
    own = yaml.safe_load(shared.read_text(encoding="utf-8"))
    own["fields"] = [field for field in own["fields"] if field["name"] != "age"]
    del own["checks"]["columns"]["age"]
    (folder.path / "views").mkdir()
    (folder.path / "views" / shared.name).write_text(yaml.safe_dump(own), encoding="utf-8")
    with pytest.raises(ContractError, match=r"slices\.0: the view .* has no column 'age'"):
        _ = folder.contract


def test_the_other_models_dags_still_parse(tmp_path):
    """Of every refused contract a DAG shows the reason; all others parse as ever."""
    for number, (path, value, _) in enumerate(REFUSALS):
        folder_of(changed(path, value), tmp_path / "models", f"broken_{number}")
    roots = json.dumps([str(REPOSITORY_ROOT / "include" / "models"), str(tmp_path / "models")])
    environment = parsing_environment(tmp_path) | {"NINETY_MODEL_FOLDERS": roots}
    dags = parse(["train"], environment)["train"]["dags"]
    pages = {name: dag["doc_md"] for name, dag in dags.items() if "broken-contract" in dag["tags"]}
    assert {f"broken_{number}_train" for number in range(len(REFUSALS))} == set(pages)
    assert {"churn_train", "spend_train"} == set(dags) - set(pages)
    assert all(re.search(told, pages[f"broken_{n}_train"]) for n, (_, _, told) in enumerate(REFUSALS))
