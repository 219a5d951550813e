from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from include.adapters.artefacts import ArtefactStore
from include.adapters.tracking import Tracking
from include.config.settings import Settings
from include.contracts.errors import ContractError
from include.contracts.packages import TrainingRecord
from include.contracts.reports import EvaluationReport, GateKind, GateReason, Verdict
from include.contracts.signatures import Task
from include.evaluation import evaluate as stage
from include.evaluation.champion import against_champion
from include.evaluation.evaluate import evaluate, judge_candidate, open_candidate
from include.training.train import train_candidate
from tests.evaluation.served import SERVED, opened_candidate, register_champion
from tests.synthetic import Tracker, churn_folder, customers, frozen, request


def candidate(place, frame, tracker=None, **changes):
    """Train a candidate on a frame in a store of its own."""
    store, folder = ArtefactStore(place / "artefacts"), churn_folder(place, **changes)
    uri = train_candidate(store, tracker or Tracker(), folder, request(frozen(store, frame)))
    return SimpleNamespace(store=store, folder=folder, contract=folder.contract, uri=uri)


def judged(made, champion=None, logged=()):
    """Judge a candidate and return its report."""
    opened = opened_candidate(made.store, made.contract, made.uri)
    return judge_candidate(made.store, opened, champion, SERVED, logged)


def registered(made, store):
    """Package a candidate into a store, as registration does, and return the version."""
    return register_champion(made.store, made.uri, store)


def verdicts(report):
    """Return the verdict by kind of gate and metric."""
    return {(gate.kind, gate.metric): gate.verdict for gate in report.gates}


def by_kind(report, kind):
    """Return the only gate of a kind."""
    (gate,) = [gate for gate in report.gates if gate.kind is kind]
    return gate


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """An honest candidate."""
    return candidate(tmp_path_factory.mktemp("good"), customers())


def test_an_honest_candidate_passes(good):
    """It beats the recency baseline on weeks it has not seen, is calibrated, and has no champion yet."""
    report = judged(good)
    assert () == report.failures
    assert 5 * 250 == report.test_rows
    assert report.metrics["roc_auc"] > report.baseline_metrics["roc_auc"] + 0.05
    assert Verdict.NOT_APPLICABLE is verdicts(report)[GateKind.CHAMPION, "roc_auc"]


def test_shuffled_labels_fail_the_threshold(tmp_path):
    """A model of noise ranks like noise, and the gate says so with the figure."""
    frame = customers()
    frame["label"] = np.random.default_rng(1).permutation(frame["label"])
    report = judged(candidate(tmp_path, frame))
    assert GateReason.BELOW_MINIMUM in {g.reason for g in report.failures if g.kind is GateKind.THRESHOLD}
    assert pytest.approx(0.5, abs=0.06) == report.metrics["roc_auc"]


def test_a_candidate_equal_to_the_champion_passes(good):
    """The same model again is no worse: the interval is a point at zero."""
    report = judged(good, registered(good, good.store))
    assert Verdict.PASS is verdicts(report)[GateKind.CHAMPION, "roc_auc"]
    assert report.metrics == report.champion_metrics


def test_a_retrain_with_another_seed_passes(good, tmp_path):
    """Two honest trainings on the same data rank nearly alike, and the gate lets the second through."""
    again = candidate(tmp_path, customers(), training={"seed": 8})
    assert (
        Verdict.PASS is verdicts(judged(again, registered(good, again.store)))[GateKind.CHAMPION, "roc_auc"]
    )


def test_a_candidate_that_lost_a_feature_fails_against_the_champion(good, tmp_path):
    """With recency blanked the candidate is worse on the same rows, as the paired interval shows."""
    changes = {
        "features": {
            "inputs": [
                i.model_dump(mode="json")
                for i in good.contract.features.inputs
                if i.name == "avg_order_value_30d"
            ]
        },
        "gates": {"baseline": {"feature": "avg_order_value_30d"}},
    }
    frame = customers()
    read = {item.frozen_as: frame[item.name] for item in good.contract.features.inputs}
    blind = candidate(tmp_path, frame.assign(**read), **changes)
    report = judged(blind, registered(good, blind.store))
    assert Verdict.FAIL is verdicts(report)[GateKind.CHAMPION, "roc_auc"]
    assert "against 0." in by_kind(report, GateKind.CHAMPION).detail


def test_a_champion_with_features_nobody_has_any_more_is_no_pass(good, tmp_path):
    """The comparison is impossible, and the gate names the feature that is missing."""
    inputs = [i for i in good.contract.features.inputs if i.name != "total_spend_30d"]
    changes = {"features": {"inputs": [i.model_dump(mode="json") for i in inputs]}}
    slim = candidate(tmp_path, customers().drop(columns="total_spend_30d"), **changes)
    report = judged(slim, registered(good, slim.store))
    assert Verdict.FAIL is verdicts(report)[GateKind.CHAMPION, "roc_auc"]
    assert "lack customer_spending.total_spend_30d" in by_kind(report, GateKind.CHAMPION).detail


def test_a_champion_reads_its_own_columns(good):
    """A name may stand for another feature by now: the champion gets what it was trained on, or nothing."""
    champion = stage.open_champion(good.store, registered(good, good.store))
    moved = [
        item.model_copy(update={"view": "old_spending"}) if item.name == "total_spend_30d" else item
        for item in champion.signature.inputs
    ]
    champion = replace(champion, signature=champion.signature.model_copy(update={"inputs": tuple(moved)}))
    own = opened_candidate(good.store, good.contract, good.uri).scored
    assert "the rows lack old_spending.total_spend_30d" in against_champion(own, champion).gate.detail
    column = {"champion:old_spending.total_spend_30d": own.rows["total_spend_30d"]}
    both = replace(own, rows=own.rows.assign(total_spend_30d=0.0, **column))
    assert own.metrics == against_champion(both, champion).scored.metrics


@pytest.mark.parametrize(
    "changed", [{"task": Task.MULTICLASS, "classes": ("a", "b")}, {"task": Task.REGRESSION}]
)
def test_a_champion_with_other_outputs_is_no_pass(changed, good, monkeypatch):
    """Scores of another task do not compare, whether they are as wide or not; the gate says what to do."""
    version = registered(good, good.store)
    champion = stage.open_champion(good.store, version)
    other = replace(champion, signature=champion.signature.model_copy(update=changed))
    monkeypatch.setattr(stage, "open_champion", lambda *_: other)
    gate = by_kind(judged(good, version), GateKind.CHAMPION)
    assert (Verdict.FAIL, GateReason.CHAMPION_NOT_COMPARABLE) == (gate.verdict, gate.reason)
    assert "retire" in gate.detail


def test_a_graph_that_is_not_the_trained_one_fails_parity(good, tmp_path):
    """Another seed's graph put in the candidate's place no longer gives the golden predictions."""
    swapped = candidate(tmp_path, customers())
    other = candidate(tmp_path / "other", customers(), training={"seed": 8})
    swapped.store.write(f"{swapped.uri}/model.onnx", other.store.read(f"{other.uri}/model.onnx"))
    assert {(GateKind.PARITY, "parity_difference")} == {
        (gate.kind, gate.metric) for gate in judged(swapped).failures
    }


@pytest.mark.parametrize(
    "change",
    [
        {"gates": {"champion": {"tolerance": 0.5}}},
        {"slices": [{"view": "customer_demographics", "column": "age"}]},
        {"label": {"delay": "13d"}},
        {"training": {"validation": "21d"}},
        {"objectives": {"latency_p99_ms": 500}},
        {"resources": {"maximum_batch": 8}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_judgement_changed_since_training_is_refused(change, good, tmp_path):
    """Gates, and all they are measured by, cannot be moved between training and evaluation."""
    changed = churn_folder(tmp_path, **change).contract
    with pytest.raises(ContractError, match="resources of the contract changed since candidates/run1"):
        opened_candidate(good.store, changed, good.uri)


@pytest.mark.parametrize(
    "change",
    [
        {"description": "Whether they leave."},
        {"label": {"description": "1: they left."}},
        {"owner": {"team": "growth"}},
        {"approvers": {"users": ["approver", "admin", "ada"]}},
        {"schedules": {"train": "0 6 * * 1"}},
        {"serving": {"deadline_ms": 400}},
        {"objectives": {"availability": 0.99}},
        {"training": {"hyperparameters": {"epochs": 7}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_contract_may_change_where_nothing_is_judged_by_it(change, good, tmp_path):
    """What was trained before another approver was named can still be released."""
    changed = churn_folder(tmp_path, **change).contract
    opened = opened_candidate(good.store, changed, good.uri)
    assert changed.sha256 != opened.record.contract_sha256
    assert 5 * 250 == len(opened.scored.rows)


def test_a_record_of_before_is_held_to_the_whole_contract(good, tmp_path):
    """It does not say what it was to be judged by, so nothing may have changed."""
    old = TrainingRecord.model_validate_json(good.store.read(f"{good.uri}/training.json"))
    old = old.model_copy(update={"judgement_sha256": None})
    assert open_candidate(good.store, good.contract, good.uri, old)
    otherwise = old.model_copy(update={"judgement_sha256": "of another release of the platform"})
    assert open_candidate(good.store, good.contract, good.uri, otherwise)
    changed = churn_folder(tmp_path, description="Whether they leave.").contract
    with pytest.raises(ContractError, match="of the contract changed since"):
        open_candidate(good.store, changed, good.uri, old)


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # SQLAlchemy's word to MLflow
def test_the_report_is_stored_and_its_figures_logged(tmp_path, monkeypatch):
    """evaluation.json reads back as the report, and the MLflow run has the test metrics."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    settings = Settings(home=tmp_path)
    tracking = Tracking(settings, uri)
    monkeypatch.chdir(tmp_path)
    made = candidate(tmp_path, customers(), tracker=tracking)
    monkeypatch.setattr(stage, "Tracking", lambda settings: Tracking(settings, uri))
    report = evaluate(settings, made.folder, made.uri, None)
    stored = EvaluationReport.model_validate_json(made.store.read(f"{made.uri}/evaluation.json"))
    run = tracking._client.get_run(made.uri.removeprefix("candidates/"))
    assert report == stored
    assert pytest.approx(report.metrics["roc_auc"]) == run.data.metrics["test_roc_auc"]
    assert ("FINISHED", "system") == (run.info.status, run.data.tags["requested_by"])
