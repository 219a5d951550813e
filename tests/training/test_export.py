import numpy as np
import onnx
import pytest
import torch
from torch import nn

from include.adapters.onnx_model import OnnxModel
from include.adapters.tensors import to_tensors
from include.contracts.signatures import FeatureInput, Signature, Task
from include.training.export import export, parity
from include.training.pipeline import Head, Pipeline, apply
from include.training.preprocessing import fit_preprocessing, fit_vocabulary

NUMERIC = tuple(FeatureInput(name=f"n{i}", kind="numeric", view="v") for i in range(3))
CATEGORICAL = tuple(FeatureInput(name=f"c{i}", kind="categorical", view="v") for i in range(2))
DICE = np.random.default_rng(8)
ROWS = 200


class Small(nn.Module):
    def __init__(self, width, sizes, outputs):
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(size, 2) for size in sizes)
        self.layer = nn.Linear(2 * width + 2 * len(sizes), outputs)
        self.dropout = nn.Dropout(0.5)

    def forward(self, numeric, categorical):
        embedded = [layer(categorical[:, index]) for index, layer in enumerate(self.embeddings)]
        return self.layer(self.dropout(torch.cat([numeric, *embedded], dim=1)))


def exported(path, inputs, task=Task.BINARY, classes=(), head=None):
    """Export a small untrained network; return all that went into it."""
    torch.manual_seed(8)
    signature = Signature(task=task, inputs=inputs, classes=classes)
    numeric = DICE.lognormal(2, 1, (ROWS, len(signature.numeric))).astype(np.float32)
    categorical = DICE.choice(np.array(["a", "b", "ü c"], object), (ROWS, len(signature.categorical)))
    vocabulary = fit_vocabulary(categorical)
    network = Small(numeric.shape[1], vocabulary.sizes, signature.outputs)
    pipeline = Pipeline(fit_preprocessing(numeric), network, head or Head(task))
    export(pipeline, vocabulary, signature, path)
    return signature, pipeline, vocabulary, numeric, categorical


@pytest.mark.parametrize(
    ("inputs", "task", "classes", "head"),
    [
        (NUMERIC + CATEGORICAL, Task.BINARY, (), Head(Task.BINARY, 1.3, -0.2)),
        (NUMERIC, Task.BINARY, (), None),
        (CATEGORICAL, Task.BINARY, (), None),
        (NUMERIC + CATEGORICAL, Task.MULTICLASS, ("x", "y", "z"), None),
        (NUMERIC + CATEGORICAL, Task.REGRESSION, (), Head(Task.REGRESSION, 250.0, 90.0)),
    ],
    ids=["binary", "numbers only", "categories only", "multiclass", "regression"],
)
def test_the_graph_computes_what_the_module_does(tmp_path, inputs, task, classes, head):
    """Parity holds on every row, also with everything missing or unknown, at every batch size."""
    path = tmp_path / "model.onnx"
    signature, pipeline, vocabulary, numeric, categorical = exported(path, inputs, task, classes, head)
    model = OnnxModel(path, signature)
    assert parity(model, pipeline, vocabulary, numeric, categorical) < 1e-5
    assert (1, signature.outputs) == model.predict_arrays(numeric[:1], categorical[:1]).shape


def test_inputs_and_output_are_those_of_the_signature(tmp_path):
    """Names, types and open batch dimension are what Triton is told."""
    path = tmp_path / "model.onnx"
    exported(path, NUMERIC + CATEGORICAL)
    graph = onnx.load(path).graph
    types = {item.name: item.type.tensor_type.elem_type for item in (*graph.input, *graph.output)}
    assert {
        "numeric": onnx.TensorProto.FLOAT,
        "categorical": onnx.TensorProto.STRING,
        "score": onnx.TensorProto.FLOAT,
    } == types
    assert all(not item.type.tensor_type.shape.dim[0].dim_value for item in graph.input)


def test_preprocessing_in_the_graph_equals_numpy(tmp_path):
    """With a network that only adds up its inputs, the graph's score is numpy's sum of z-scores."""

    class Sum(nn.Module):
        def forward(self, numeric, categorical):
            return numeric.sum(dim=1, keepdim=True) + categorical.sum(dim=1, keepdim=True)

    signature = Signature(task=Task.REGRESSION, inputs=(NUMERIC[0], CATEGORICAL[0]))
    train = DICE.lognormal(2, 1, (ROWS, 1)).astype(np.float32)
    vocabulary = fit_vocabulary(np.array([["a"], ["b"]], object))
    path = tmp_path / "model.onnx"
    export(Pipeline(fit_preprocessing(train), Sum(), Head(Task.REGRESSION)), vocabulary, signature, path)
    logged = np.log1p(train.astype(float))
    z = (np.log1p(5.0) - logged.mean()) / logged.std()
    found = OnnxModel(path, signature).predict({"n0": [5.0, None, 5.0], "c0": ["b", "a", "stranger"]})
    assert pytest.approx([z + 2, 0 + 1 + 1, z + 0], abs=1e-5) == found[:, 0].tolist()


def test_rows_and_columns_give_the_same_scores(tmp_path):
    """What the gateway builds from rows and evaluation from columns are one and the same input."""
    path = tmp_path / "model.onnx"
    signature, *_ = exported(path, NUMERIC + CATEGORICAL)
    rows = [
        {"n0": 1.5, "n1": None, "n2": 3, "c0": "a", "c1": None},
        {"n0": 0.0, "n1": 2.5, "n2": 1e9, "c0": "ü c", "c1": "stranger"},
    ]
    tensors = to_tensors(signature, rows)
    texts = np.array([[value.decode() for value in row] for row in tensors["categorical"]], object)
    model = OnnxModel(path, signature)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    assert model.predict_arrays(tensors["numeric"], texts).tolist() == model.predict(columns).tolist()


def test_parity_sees_a_network_that_changed_after_export(tmp_path):
    """One weight moved by a thousandth is found."""
    path = tmp_path / "model.onnx"
    signature, pipeline, vocabulary, numeric, categorical = exported(path, NUMERIC)
    with torch.no_grad():
        pipeline.network.layer.weight[0, 0] += 1e-3
    model = OnnxModel(path, signature)
    assert parity(model, pipeline, vocabulary, numeric, categorical) > 1e-5


def test_export_leaves_the_network_ready_to_score(tmp_path):
    """Dropout is off afterwards: scoring twice gives the same."""
    _, pipeline, vocabulary, numeric, categorical = exported(tmp_path / "model.onnx", NUMERIC + CATEGORICAL)
    codes = vocabulary.encode(categorical)
    assert apply(pipeline, numeric, codes).tolist() == apply(pipeline, numeric, codes).tolist()
