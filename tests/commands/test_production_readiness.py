from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow
import pytest
import yaml

from include.adapters.label_store import record_labels
from include.commands.new_model import new_model
from include.commands.production_readiness import as_text, findings_of, rows_to_train_on, show
from include.commands.readiness_review import CHECKS, Evidence, review
from include.config.settings import REPOSITORY_ROOT
from include.config.views import named_views
from include.contracts.model import ModelContract
from include.contracts.signatures import Task
from include.contracts.windows import training_windows
from tests.contracts.test_model import CHURN, MONITORING
from tests.shop import Shop, at, half_a_year

READY = CHURN | {
    "owner": {"team": "retention", "email": "retention@shop.test", "on_call": "night"},
    "monitoring": MONITORING,
    "training": CHURN["training"] | {"allow_dirty": False},
}
FOLDER = REPOSITORY_ROOT / "include" / "models" / "churn"


def evidence(**changes: Any) -> Evidence:
    """Return what a model that is ready shows; `changes` replace keys of contract or evidence."""
    own = {field.name for field in fields(Evidence)}
    keys = {key: value for key, value in changes.items() if key not in own}
    contract = ModelContract.model_validate(READY | keys)
    views = named_views(contract, FOLDER)
    whole = Evidence(
        contract=contract,
        runbook=(FOLDER / "runbook.md").read_text(encoding="utf-8"),
        views=views,
        newest=dict.fromkeys(views, date(2017, 11, 1)),
        labels=10_000,
        as_of=datetime(2017, 11, 1, tzinfo=UTC),
        network="",
        dags="",
        champion="1.0.0",
        trace="",
    )
    return replace(whole, **{key: value for key, value in changes.items() if key not in keys})


def gates(**changes: Any) -> dict[str, Any]:
    """Return churn's gates with blocks replaced."""
    return CHURN["gates"] | changes


ECE = {"metric": "expected_calibration_error", "maximum": 0.05}
CHANCE = [{"metric": "roc_auc", "minimum": 0.5}, ECE]
RAMP = [{"share": 0.05, "hold": "1h", "minimum_requests": 100}, {"share": 1.0, "hold": "1h"}]
FAILURES = [
    ("owner and on-call", {"owner": READY["owner"] | {"on_call": "your-on-call"}}, "owner.on_call is 'your"),
    ("owner and on-call", {"owner": READY["owner"] | {"email": "a@example.com"}}, "owner.email is 'a@"),
    ("question", {"description": "your-question"}, "not written yet"),
    ("runbook", {"runbook": "Restart it."}, "2 words"),
    ("runbook", {"runbook": "Write here: all. " * 60}, "60 places still say"),
    ("training data", {"labels": 12}, "12 rows to train on as of 2017-11-01, training needs 5000"),
    ("network", {"network": "build failed"}, "build failed"),
    ("DAGs", {"dags": "no such view"}, "no such view"),
    ("thresholds", {"gates": gates(thresholds=CHANCE)}, "roc_auc passes by chance"),
    ("thresholds", {"gates": gates(thresholds=CHURN["gates"]["thresholds"][:1])}, "bounds the calibration"),
    ("baseline", {"gates": gates(baseline=CHURN["gates"]["baseline"] | {"margin": 0})}, "alone may be as"),
    ("champion gate", {"gates": gates(champion={"metric": "roc_auc", "tolerance": 0.2})}, "fall by 0.2"),
    ("slices", {"slices": []}, "parts of the population"),
    ("fallback ladder", {"serving": {"fallbacks": ["refuse"]}}, "the version before is no rung"),
    ("fallback ladder", {"serving": {"fallbacks": ["previous_version"]}}, "when nothing answers"),
    ("rollout", {"rollout": {"stages": RAMP, "bake": "2d"}}, "100 are fewer than the"),
    ("objectives", {"objectives": {"latency_p99_ms": 900}}, "falls back after 500 ms, before"),
    ("approvers", {"approvers": {"users": ["ada"]}}, "the quorum of 1 is out of reach"),
    ("approvers", {"approvers": {"users": ["ada", "your-approver"]}}, "your-approver is nobody"),
    ("monitoring", {"monitoring": {}}, "nothing under feature_drift, prediction_drift"),
    ("features fresh", {"newest": {}}, "customer_basket was never computed"),
    ("features fresh", {"newest": dict.fromkeys(evidence().views, date(2017, 1, 1))}, "from 2017-01-01"),
    ("commits only", {"training": CHURN["training"]}, "code that no commit holds"),
    ("champion's trace", {"trace": "nobody approved 1.0.0"}, "nobody approved"),
]


def test_a_model_that_has_everything_is_ready():
    """No line fails."""
    assert [] == [finding for finding in review(evidence()) if not finding.passed]


@pytest.mark.parametrize(("subject", "changes", "told"), FAILURES)
def test_what_is_missing_fails_its_line_and_no_other(subject, changes, told):
    """The line says what is wrong and what to do."""
    (failed,) = (finding for finding in review(evidence(**changes)) if not finding.passed)
    assert subject == failed.subject
    assert told in failed.detail
    assert failed.fix


@pytest.mark.parametrize(("minimum", "toothless"), [(-0.1, True), (0.0, True), (0.1, False)])
def test_a_regression_must_beat_the_mean(minimum, toothless):
    """The mean of the labels, whatever is asked, reaches an R2 of 0."""
    contract = yaml.safe_load((REPOSITORY_ROOT / "include/models/spend/contract.yaml").read_text())
    contract["gates"]["thresholds"] = [{"metric": "r2", "minimum": minimum}]
    findings = review(replace(evidence(), contract=ModelContract.model_validate(contract)))
    (found,) = (finding for finding in findings if finding.subject == "thresholds")
    assert (not toothless, "r2 passes by chance" if toothless else "") == (found.passed, found.detail)


def test_objectives_nobody_wrote_fail():
    """A default is no promise."""
    contract = ModelContract.model_validate({k: v for k, v in READY.items() if k != "objectives"})
    failed = [f.subject for f in review(replace(evidence(), contract=contract)) if not f.passed]
    assert ["objectives"] == failed


def test_every_check_is_tried():
    """A line that no case can fail is no check; an owner's absence is refused with the view."""
    assert {subject for subject, _, _ in CHECKS} - {"features owned"} == {case[0] for case in FAILURES}


def test_only_labels_that_training_would_learn_from_count(tmp_path):
    """Neither those validation and test keep, nor those between two frozen moments, nor those before."""
    shop = Shop(tmp_path, half_a_year())
    contract, as_of = shop.churn.contract, at("2017-11-01")
    train = training_windows(contract.training, contract.label, as_of).train
    every, delay = contract.training.snapshot_every, contract.label.delay
    last = as_of - delay
    frozen = [last - step * every for step in range(60)]
    told = [moment for moment in frozen if train.start <= moment and moment + delay <= train.end]
    assert 10 < len(told) < 50
    moments = sorted({*frozen, *(moment - timedelta(days=1) for moment in frozen)})
    table = pyarrow.table(
        {
            "unit": ["1", "2"] * len(moments),
            "event_at": [moment for moment in moments for _ in range(2)],
            "known_at": [moment + delay for moment in moments for _ in range(2)],
            "value": [0.0, 1.0] * len(moments),
        }
    )
    record_labels(shop.settings, "churn", table, "label.sql", as_of)
    assert 2 * len(told) == rows_to_train_on(shop.settings, contract, as_of)
    assert 0 == rows_to_train_on(shop.settings, contract, frozen[-1])


def test_a_scaffold_says_what_is_left(tmp_path, capsys):
    """A new model loads, parses and builds; people, words and data are still to come."""
    settings = Shop(tmp_path, half_a_year()).settings
    new_model(settings, "visits", Task.BINARY, "customer_id")
    findings = findings_of(settings, "visits", at("2017-06-01"))
    failed = {finding.subject for finding in findings if not finding.passed}
    assert {"contract", "network", "DAGs", "fallback ladder", "features owned"} <= {
        finding.subject for finding in findings
    } - failed
    assert {"owner and on-call", "question", "runbook", "training data", "approvers", "monitoring"} <= failed
    assert f"{len(failed)} of {len(findings)} to do" in as_text("visits", findings)


def test_a_broken_contract_is_the_only_line(tmp_path, monkeypatch, capsys):
    """Without a contract there is nothing else to look at; the exit status says so."""
    shop = Shop(tmp_path, half_a_year())
    (shop.churn.path / "contract.yaml").write_text("name: churn\n")
    monkeypatch.setattr("include.commands.production_readiness.settings", lambda: shop.settings)
    with pytest.raises(SystemExit, match="1"):
        show("churn", "2017-06-01")
    assert "label: is missing" in capsys.readouterr().out
