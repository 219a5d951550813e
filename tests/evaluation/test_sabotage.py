"""A model made worse on purpose is caught by the gate that is there for it, and the gate says why.

The table below is also the one of docs/evaluation.md: a test holds the two together.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import helper, numpy_helper

from include.adapters.artefacts import ArtefactStore
from include.adapters.onnx_model import OnnxModel
from include.adapters.tensors import CATEGORICAL, NUMERIC, Tensors
from include.config.models import ModelFolder
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.errors import DataError
from include.contracts.reports import EvaluationReport, GateKind, GateReason
from include.evaluation.evaluate import judge_candidate
from include.evaluation.triton import measure
from include.training.golden import golden_set
from include.training.train import train_candidate
from tests.evaluation.served import SERVED, opened_candidate, register_champion
from tests.synthetic import Tracker, churn_folder, customers, frozen, frozen_by_stage, request

pytestmark = pytest.mark.slow

GUIDE = REPOSITORY_ROOT / "docs" / "evaluation.md"
TRAINING = "training"
"""Caught before there is a candidate."""

Frame = pd.DataFrame


@dataclass(frozen=True)
class Sabotage:
    """One way to make a model worse, and who must notice."""

    name: str
    caught_by: GateKind | str
    reason: GateReason | str
    """Of the gate; where training stops, a part of its message."""
    data: Callable[[Frame], Frame] | None = None
    """Spoils the training set."""
    graph: Callable[[onnx.ModelProto], None] | None = None
    """Spoils the trained graph, and the golden predictions with it, as if it had been trained so."""
    after_training: Callable[[onnx.ModelProto], None] | None = None
    """Spoils the graph behind training's back."""
    inputs: tuple[str, ...] | None = None
    """Features that are left."""


def shuffled(frame: Frame) -> Frame:
    """Labels belong to anybody."""
    dice = np.random.default_rng(1)
    return frame.assign(label=dice.permutation(frame["label"]))


def leaking(frame: Frame) -> Frame:
    """A feature is computed over the days after the moment, where the label is decided."""
    dice = np.random.default_rng(1)
    return frame.assign(total_spend_30d=np.where(frame["label"] == 1, 0.0, dice.lognormal(3, 1, len(frame))))


def peeking(frame: Frame) -> Frame:
    """A feature looks a little into the future: too little for one feature to be told by itself."""
    dice = np.random.default_rng(1)
    return frame.assign(total_spend_30d=frame["label"] + dice.normal(0, 0.45, len(frame)))


def one_class(frame: Frame) -> Frame:
    """The positives were lost."""
    return frame.assign(label=0.0)


def stale(frame: Frame) -> Frame:
    """The labels of the last weeks never came."""
    return frame[frame["event_at"] < frame["event_at"].max() - pd.Timedelta(days=40)]


def few(frame: Frame) -> Frame:
    """Most units were lost."""
    return frame[frame["unit"].astype(int) < 12]


def flipped_slice(frame: Frame) -> Frame:
    """Whoever collects the labels of one group has mixed them up, in the weeks that train and not after."""
    is_group = frame["slice:customer_demographics.age"] == "A"
    is_train = frame["event_at"] < frame["event_at"].max() - pd.Timedelta(days=35)
    told = frame.assign(preferred_category=np.where(is_group, "LATE", frame["preferred_category"]))
    return told.assign(label=np.where(is_group & is_train, 1 - told["label"], told["label"]))


def after_score(*nodes: tuple[str, float | None]) -> Callable[[onnx.ModelProto], None]:
    """Put operators, each with a constant if it takes one, behind the graph's score."""

    def change(model: onnx.ModelProto) -> None:
        graph = model.graph
        producer = next(node for node in graph.node if "score" in node.output)
        producer.output[list(producer.output).index("score")] = "raw"
        last = "raw"
        for place, (kind, constant) in enumerate(nodes):
            inputs, result = [last], "score" if place == len(nodes) - 1 else f"sabotage_{place}"
            if constant is not None:
                inputs.append(f"constant_{place}")
                value = numpy_helper.from_array(np.array(constant, np.float32), f"constant_{place}")
                graph.initializer.append(value)
            graph.node.append(helper.make_node(kind, inputs, [result]))
            last = result

    return change


def missing_passes_through(model: onnx.ModelProto) -> None:
    """Add nothing times the third number, which is no number where that one is missing."""
    after_score(("Add", 0.0))(model)
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.array([2], np.int64), "third"))
    graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "none"))
    graph.node.insert(0, helper.make_node("Gather", [NUMERIC, "third"], ["orders"], axis=1))
    graph.node.insert(1, helper.make_node("Mul", ["orders", "none"], ["nothing"]))
    graph.node[-1].input[1] = "nothing"


def unknown_category_crashes(model: onnx.ModelProto) -> None:
    """Look an unknown category up where the table has ended."""
    encoder = next(node for node in model.graph.node if node.op_type == "LabelEncoder")
    next(item for item in encoder.attribute if item.name == "default_int64").i = 9_999


def missing_value_decides(model: onnx.ModelProto) -> None:
    """Take a missing number for a sure no."""
    after_score(("Add", 0.0))(model)
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.array([2], np.int64), "third"))
    graph.initializer.append(numpy_helper.from_array(np.array(-1, np.float32), "no"))
    graph.node.insert(0, helper.make_node("Gather", [NUMERIC, "third"], ["orders"], axis=1))
    graph.node.insert(1, helper.make_node("IsNaN", ["orders"], ["is_missing"]))
    graph.node.insert(2, helper.make_node("Cast", ["is_missing"], ["missing"], to=onnx.TensorProto.FLOAT))
    graph.node.insert(3, helper.make_node("Mul", ["missing", "no"], ["sure_no"]))
    graph.node[-1].input[1] = "sure_no"


def sleepy(model: onnx.ModelProto) -> None:
    """Multiply two large matrices for nothing."""
    after_score(("Add", 0.0))(model)
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "none"))
    graph.node.insert(0, helper.make_node("RandomUniform", [], ["large"], shape=[700, 700], seed=1.0))
    graph.node.insert(1, helper.make_node("MatMul", ["large", "large"], ["product"]))
    graph.node.insert(2, helper.make_node("ReduceMean", ["product"], ["mean"], keepdims=0))
    graph.node.insert(3, helper.make_node("Mul", ["mean", "none"], ["slowly_nothing"]))
    graph.node[-1].input[1] = "slowly_nothing"


FEWER = ("avg_order_value_30d", "days_since_last_purchase")

SABOTAGES = (
    Sabotage("labels shuffled", GateKind.THRESHOLD, GateReason.BELOW_MINIMUM, data=shuffled),
    Sabotage(
        "scores sign-flipped",
        GateKind.BENCHMARK,
        GateReason.BELOW_MINIMUM,
        graph=after_score(("Neg", None), ("Add", 1.0)),
    ),
    Sabotage(
        "the same score for everybody",
        GateKind.BASELINE,
        GateReason.NOT_BETTER_THAN_BASELINE,
        graph=after_score(("Mul", 0.0), ("Add", 0.3)),
    ),
    Sabotage(
        "scores miscalibrated",
        GateKind.THRESHOLD,
        GateReason.ABOVE_MAXIMUM,
        graph=after_score(("Sqrt", None)),
    ),
    Sabotage("trained on the future, a little", GateKind.THRESHOLD, GateReason.ABOVE_MAXIMUM, data=peeking),
    Sabotage("trained on the future", TRAINING, "it leaks: total_spend_30d", data=leaking),
    Sabotage("labels of one class only", TRAINING, "nothing to tell apart", data=one_class),
    Sabotage("too few rows", TRAINING, "rows with a known label, needs", data=few),
    Sabotage("stale data", TRAINING, "0 rows with a known label, needs", data=stale),
    Sabotage("features dropped", GateKind.CHAMPION, GateReason.NOT_SHOWN_AS_GOOD_AS_CHAMPION, inputs=FEWER),
    Sabotage("one slice's labels flipped", GateKind.SLICE, GateReason.WORSE_ON_A_SLICE, data=flipped_slice),
    Sabotage(
        "a missing value makes the score NaN",
        GateKind.ROBUSTNESS,
        GateReason.NOT_FINITE,
        graph=missing_passes_through,
    ),
    Sabotage(
        "an unknown category crashes",
        GateKind.ROBUSTNESS,
        GateReason.CRASHED,
        graph=unknown_category_crashes,
    ),
    Sabotage(
        "a missing value decides the score",
        GateKind.ROBUSTNESS,
        GateReason.DEGRADES_TOO_MUCH,
        graph=missing_value_decides,
    ),
    Sabotage(
        "graph altered after training",
        GateKind.PARITY,
        GateReason.OUTPUTS_DIFFER,
        after_training=after_score(("Mul", 0.999)),
    ),
    Sabotage("a slow model", GateKind.LATENCY, GateReason.TOO_SLOW, graph=sleepy),
)


@dataclass(frozen=True)
class Made:
    """A candidate in its store."""

    store: ArtefactStore
    folder: ModelFolder
    uri: str


def made(place: Path, frame: Frame, **changes: Any) -> Made:
    """Train a candidate on a frame."""
    store, folder = ArtefactStore(place / "artefacts"), churn_folder(place, **changes)
    return Made(store, folder, train_candidate(store, Tracker(), folder, request(frozen(store, frame))))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """An honest candidate."""
    return made(tmp_path_factory.mktemp("good"), customers(), objectives={"latency_p99_ms": 5})


def spoilt_graph(good: Made, change: Callable[[onnx.ModelProto], None], *, with_golden: bool) -> str:
    """Copy the honest candidate with another graph; its golden predictions are that graph's own or not."""
    graph = onnx.load_from_string(good.store.read(f"{good.uri}/model.onnx"))
    change(graph)
    uri = f"candidates/{change.__name__}{id(change)}"
    for name in ("training.json", "golden.json"):
        good.store.write(f"{uri}/{name}", good.store.read(f"{good.uri}/{name}"))
    good.store.write(f"{uri}/model.onnx", graph.SerializeToString())
    if with_golden:
        model = OnnxModel(good.store.path(f"{uri}/model.onnx"), good.folder.contract.signature)
        golden = golden_set(model, customers().tail(100), good.folder.contract.signature)
        good.store.write(f"{uri}/golden.json", golden.model_dump_json().encode())
    return uri


def spoilt(good: Made, sabotage: Sabotage, place: Path) -> Made:
    """Carry a sabotage out."""
    if sabotage.graph or sabotage.after_training:
        change = sabotage.graph or sabotage.after_training
        assert change
        return replace(good, uri=spoilt_graph(good, change, with_golden=sabotage.graph is not None))
    frame = sabotage.data(customers()) if sabotage.data else customers()
    if sabotage.inputs is None:
        return made(place, frame)
    inputs = [item.model_dump(mode="json") for item in good.folder.contract.features.inputs]
    kept = [item for item in inputs if item["name"] in sabotage.inputs]
    return dropped(good, place, frame, {"inputs": kept})


def dropped(good: Made, place: Path, frame: Frame, features: dict[str, Any]) -> Made:
    """Train on a set that the stage froze, with the honest candidate in production."""
    settings = Settings(home=place, model_folders=(place,))
    store, folder = ArtefactStore(settings.artefacts_folder), churn_folder(place, features=features)
    snapshot = frozen_by_stage(settings, folder, frame, register_champion(good.store, good.uri, store))
    return Made(store, folder, train_candidate(store, Tracker(), folder, request(snapshot)))


def judged(candidate: Made, good: Made, sabotage: Sabotage) -> EvaluationReport:
    """Judge a candidate, the honest one being the champion."""
    opened = opened_candidate(candidate.store, candidate.folder.contract, candidate.uri)
    served = SERVED
    if sabotage.graph is sleepy:
        served = measure(
            lambda tensors: opened.model.predict_arrays(*arrays_of(tensors)),
            opened.model,
            opened.scored,
            opened.record.signature,
        )
    champion = register_champion(good.store, good.uri, candidate.store)
    return judge_candidate(candidate.store, opened, champion, served, ())


def arrays_of(tensors: Tensors) -> tuple[Any, Any]:
    """Return serving tensors as the graph in process takes them: text instead of bytes."""
    texts = [[text.decode() for text in row] for row in tensors[CATEGORICAL]]
    return tensors[NUMERIC], np.array(texts, np.object_)


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda item: item.name)
def test_a_sabotage_is_caught(sabotage, good, tmp_path, monkeypatch):
    """Training stops with the finding, or the gate that is there for it fails and names the reason."""
    for bound, value in {"SECONDS": 0.3, "WARM_UP": 2, "REQUESTS": 30}.items():
        monkeypatch.setattr(f"include.evaluation.triton.{bound}", value)
    if sabotage.caught_by == TRAINING:
        with pytest.raises(DataError, match=sabotage.reason):
            spoilt(good, sabotage, tmp_path)
        return
    report = judged(spoilt(good, sabotage, tmp_path), good, sabotage)
    caught = {(gate.kind, gate.reason) for gate in report.failures}
    assert (sabotage.caught_by, sabotage.reason) in caught, report.failures
    assert not report.passed


def test_the_honest_candidate_is_not(good):
    """What catches all of these lets the model they were made of through."""
    opened = opened_candidate(good.store, good.folder.contract, good.uri)
    champion = register_champion(good.store, good.uri, good.store)
    report = judge_candidate(good.store, opened, champion, SERVED, ())
    assert () == (*report.failures, *report.unmeasured)


def test_the_guide_has_the_same_table():
    """Every sabotage stands in docs/evaluation.md with the gate and the reason that catch it."""
    rows = re.findall(r"^\| ([^|]+) \| `(\w+)` \| ([^|]+) \|$", GUIDE.read_text("utf-8"), re.MULTILINE)
    written = {name: (gate, reason.strip("`")) for name, gate, reason in rows}
    expected = {item.name: (str(item.caught_by), str(item.reason)) for item in SABOTAGES}
    assert expected == {name: written.get(name) for name in expected}
