import json
from dataclasses import replace

import pytest
import torch

from include.adapters.artefacts import ArtefactStore
from include.adapters.onnx_model import OnnxModel
from include.contracts.errors import ArtefactError, ContractError, DataError
from include.contracts.packages import GoldenSet, TrainingRecord
from include.training.train import train_candidate
from tests.synthetic import CODE, Tracker, churn_folder, customers, frozen, request


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A candidate trained once: store, folder, snapshot, tracker, URI."""
    place = tmp_path_factory.mktemp("trained")
    store, folder, tracker = ArtefactStore(place / "store"), churn_folder(place), Tracker()
    snapshot = frozen(store, customers())
    return store, folder, snapshot, tracker, train_candidate(store, tracker, folder, request(snapshot))


def record_of(store, uri):
    """Read a candidate's training record."""
    return TrainingRecord.model_validate_json(store.read(f"{uri}/training.json"))


def test_a_candidate_holds_graph_golden_predictions_and_record(trained):
    """The folder under the run's id has just these files, and MLflow got the same."""
    store, _, _, tracker, uri = trained
    names = {"model.onnx", "golden.json", "training.json"}
    assert ("candidates/run1", names, names) == (
        uri,
        {p.name for p in store.path(uri).iterdir()},
        tracker.files,
    )


def test_the_record_says_where_the_candidate_comes_from(trained):
    """Snapshot, code, contract, seed and run are in it, and the figures of training."""
    store, folder, snapshot, _, uri = trained
    record = record_of(store, uri)
    assert (snapshot, CODE, folder.contract.sha256, 7, "run1") == (
        record.snapshot,
        record.code,
        record.contract_sha256,
        record.seed,
        record.run_id,
    )
    assert record.metrics["parity_difference"] < 1e-5
    assert record.metrics["validation_roc_auc"] > 0.75


def test_the_run_tells_data_code_and_progress(trained):
    """Tags carry hashes and who asked, each epoch has a step, and the run is finished."""
    _, folder, snapshot, tracker, _ = trained
    told = {
        "snapshot_sha256": snapshot.sha256,
        "commit": CODE.commit,
        "dirty": "false",
        "requested_by": "system",
    }
    assert told.items() <= tracker.tags.items()
    assert folder.contract.training.hyperparameters.items() <= tracker.parameters.items()
    assert list(range(1, len(tracker.steps) + 1)) == tracker.steps
    assert "finished" == tracker.ended


def test_the_run_holds_all_that_the_record_does(trained):
    """Data, code, seed, service, time range, duration and hardware can be read in MLflow alone."""
    store, _, snapshot, tracker, uri = trained
    record = record_of(store, uri)
    told = {**tracker.tags, **{name: str(value) for name, value in tracker.parameters.items()}}
    assert {
        "snapshot_sha256": snapshot.sha256,
        "snapshot_uri": snapshot.uri,
        "snapshot_rows": str(snapshot.rows),
        "snapshot_start": snapshot.start.isoformat(),
        "snapshot_end": snapshot.end.isoformat(),
        "feature_service": snapshot.feature_service,
        "as_of": snapshot.as_of.isoformat(),
        "commit": record.code.commit,
        "code_fingerprint": record.code.fingerprint,
        "lock_sha256": record.code.lock_sha256,
        "contract_sha256": record.contract_sha256,
        "requested_by": record.requested_by,
        "seed": str(record.seed),
        "hardware": record.hardware,
    }.items() <= told.items()
    assert record.duration_seconds == tracker.metrics["duration_seconds"]
    assert record.metrics.items() <= tracker.metrics.items()


def test_a_run_may_replace_hyperparameters_and_seed(trained, tmp_path):
    """The record says what was used; the contract's hash is that of the file."""
    store, folder, snapshot, _, _ = trained
    other, tracker = ArtefactStore(tmp_path), Tracker()
    other.write(snapshot.uri, store.read(snapshot.uri))
    asked = replace(request(snapshot), hyperparameters={"hidden": 4, "epochs": 1}, seed=11)
    record = record_of(other, train_candidate(other, tracker, folder, asked))
    assert (4, 1, 0.1, 11) == (
        *(record.hyperparameters[name] for name in ("hidden", "epochs", "dropout")),
        record.seed,
    )
    assert (4, 11, [1]) == (tracker.parameters["hidden"], tracker.parameters["seed"], tracker.steps)
    assert folder.contract.sha256 == record.contract_sha256


def test_a_hyperparameter_nobody_reads_is_refused(trained):
    """A typo is not trained with the contract's value in silence."""
    store, folder, snapshot, _, _ = trained
    asked = replace(request(snapshot), hyperparameters={"hiden": 4})
    with pytest.raises(ContractError, match=r"no hyperparameter hiden; there are: batch_size, "):
        train_candidate(store, Tracker(), folder, asked)


def test_golden_predictions_hold_and_include_the_odd_ones(trained):
    """32 cases the graph still gives, one with a category nobody has, one with nothing known."""
    store, folder, _, _, uri = trained
    golden = GoldenSet.model_validate_json(store.read(f"{uri}/golden.json"))
    signature = folder.contract.signature
    columns = {i.name: [case.features[i.name] for case in golden.cases] for i in signature.inputs}
    found = OnnxModel(store.path(f"{uri}/model.onnx"), signature).predict(columns)
    assert (
        pytest.approx([c.outputs[0] for c in golden.cases], abs=golden.absolute_tolerance)
        == found[:, 0].tolist()
    )
    assert 32 == len(golden.cases)
    assert "a category no training row had" == golden.cases[-2].features["preferred_category"]
    assert {None} == set(golden.cases[-1].features.values())


def test_the_same_data_and_seed_give_the_same_model(trained, tmp_path):
    """A second training, with torch's generator elsewhere, gives the same graph to the byte."""
    store, folder, snapshot, _, uri = trained
    other = ArtefactStore(tmp_path)
    other.write(snapshot.uri, store.read(snapshot.uri))
    torch.rand(3)
    again = train_candidate(other, Tracker(), folder, request(snapshot))
    assert record_of(store, uri).metrics == record_of(other, again).metrics
    assert store.read(f"{uri}/model.onnx") == other.read(f"{again}/model.onnx")
    assert not torch.are_deterministic_algorithms_enabled()


def test_another_seed_gives_another_model(trained, tmp_path):
    """The seed is what decides, not a constant."""
    store, _, snapshot, _, uri = trained
    other = ArtefactStore(tmp_path / "store")
    other.write(snapshot.uri, store.read(snapshot.uri))
    again = train_candidate(other, Tracker(), churn_folder(tmp_path, training={"seed": 8}), request(snapshot))
    assert record_of(store, uri).metrics != record_of(other, again).metrics


def test_strangers_and_gaps_move_scores_within_reason(trained):
    """An unknown category or a missing number is answered by a score near the known customer's."""
    store, folder, _, _, uri = trained
    rows = customers().dropna().iloc[:200]
    model = OnnxModel(store.path(f"{uri}/model.onnx"), folder.contract.signature)
    known = model.predict(rows)
    for change in ({"preferred_category": "NEW AISLE"}, {"total_spend_30d": None}):
        assert abs(model.predict(rows.assign(**change)) - known).mean() < 0.15


@pytest.mark.parametrize(
    ("changes", "error", "complaint"),
    [
        ({"training": {"hyperparameters": {"epochs": 0}}}, ContractError, "training.hyperparameters.epochs"),
        ({"training": {"hyperparameters": {"learning_rate": 1e30}}}, DataError, "learning_rate"),
    ],
)
def test_a_training_that_fails_is_marked_so(trained, tmp_path, changes, error, complaint):
    """The run ends as failed, the error says what to change, and no candidate is left behind."""
    store, _, snapshot, _, _ = trained
    other, tracker = ArtefactStore(tmp_path / "store"), Tracker()
    other.write(snapshot.uri, store.read(snapshot.uri))
    with pytest.raises(error, match=complaint):
        train_candidate(other, tracker, churn_folder(tmp_path, **changes), request(snapshot))
    assert ("failed", False) == (tracker.ended, other.exists("candidates/run1"))


def test_an_altered_training_set_is_refused(trained, tmp_path):
    """A byte more, or one customer's label the other way round, is not what was frozen."""
    store, folder, snapshot, _, _ = trained
    other = ArtefactStore(tmp_path)
    frame = customers()
    frame.loc[7, "label"] = 1 - frame.loc[7, "label"]
    for content in (store.read(snapshot.uri) + b"x", other.read(frozen(other, frame).uri)):
        other.write(snapshot.uri, content)
        with pytest.raises(ArtefactError, match="was altered"):
            train_candidate(other, Tracker(), folder, request(snapshot))


def test_a_regression_and_a_multiclass_model_train_by_the_same_loop(tmp_path):
    """Targets of any size and several classes come out in their own units."""
    frame = customers()
    gates = {
        "regression": ("mean_absolute_error", {"maximum": 1e9}),
        "multiclass": ("accuracy", {"minimum": 0.0}),
    }
    targets = {
        "regression": (500 + 100 * frame["transaction_count_30d"], "validation_r2"),
        "multiclass": (frame["transaction_count_30d"].clip(1, 6) // 3, "validation_accuracy"),
    }
    for task, (metric, bound) in gates.items():
        store = ArtefactStore(tmp_path / task)
        label, judged_by = targets[task]
        changes = {
            "task": task,
            "classes": ["few", "some", "many"] if task == "multiclass" else [],
            "serving": {"default_score": [0.2, 0.3, 0.5] if task == "multiclass" else [500.0]},
            # The target is made of one feature, which is what a leak looks like.
            "training": {"hyperparameters": {"epochs": 8}, "leak_bound": 1.0},
            "gates": {
                "thresholds": [{"metric": metric, **bound}],
                "baseline": {"metric": metric},
                "champion": {"metric": metric},
                "benchmark": {"thresholds": []},
                "slices": [],
            },
        }
        folder = churn_folder(tmp_path / task, **changes)
        uri = train_candidate(store, Tracker(), folder, request(frozen(store, frame.assign(label=label))))
        metrics = json.loads(store.read(f"{uri}/training.json"))["metrics"]
        assert metrics["parity_difference"] < 1e-5
        assert metrics[judged_by] > 0.9
