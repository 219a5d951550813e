"""The Open Inference Protocol, with the stock client and without."""

import json
import warnings

import numpy as np
import pytest

from include.contracts.predictions import Source
from tests.serving.gateway.conftest import KEY, version_route

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # gevent, which the client brings, warns of itself
    from tritonclient import http as protocol

NUMERIC = {"name": "numeric", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, None, 4]}
CATEGORICAL = {"name": "categorical", "datatype": "BYTES", "shape": [2, 1], "data": ["A", ""]}
URL = "/v2/models/churn/infer"


@pytest.mark.parametrize("is_binary", [False, True])
def test_the_stock_client_works_unchanged(stage, is_binary):
    """Health, metadata and inference, in JSON and in binary tensors."""
    headers = {"Authorization": f"Bearer {KEY}"}
    client = protocol.InferenceServerClient(stage.url.removeprefix("http://"))
    numeric = protocol.InferInput("numeric", [2, 2], "FP32")
    numeric.set_data_from_numpy(np.array([[1, 2], [3, 4]], np.float32), binary_data=is_binary)
    categorical = protocol.InferInput("categorical", [2, 1], "BYTES")
    categorical.set_data_from_numpy(np.array([[b"A"], [b""]], np.object_), binary_data=is_binary)
    output = protocol.InferRequestedOutput("score", binary_data=is_binary)
    result = client.infer("churn", [numeric, categorical], outputs=[output], headers=headers)
    bare = client.infer("churn", [numeric, categorical], "1.0.0", request_id="7", headers=headers)

    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("churn", headers=headers)
    assert ["1.0.0"] == client.get_model_metadata("churn", headers=headers)["versions"]
    np.testing.assert_array_equal([[3.0], [7.0]], result.as_numpy("score"))
    np.testing.assert_array_equal([[3.0], [7.0]], bare.as_numpy("score"))
    assert ("churn", "1.0.0", "7") == tuple(
        bare.get_response()[name] for name in ("model_name", "model_version", "id")
    )
    client.close()


def test_tensors_are_logged_as_such(stage):
    """One row a tensor row, source `oip`, in no experiment; the answer names them."""
    answer = stage.client.post(URL, json={"inputs": [NUMERIC, CATEGORICAL], "id": "r"}).json()
    rows = stage.rows()

    assert [3.0, 4.0] == answer["outputs"][0]["data"]
    assert answer["parameters"]["prediction_ids"].split(",") == [row.prediction_id for row in rows]
    assert {(Source.OIP, None, "r", "1.0.0")} == {
        (row.source, row.assigned_variant, row.request_id, row.served_version) for row in rows
    }
    assert {"total_spend_30d": None, "orders_30d": 4.0, "preferred_category": None} == rows[1].features


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        [NUMERIC],
        [NUMERIC, NUMERIC, CATEGORICAL],
        [NUMERIC, {**CATEGORICAL, "name": "other"}],
        [{**NUMERIC, "datatype": "FP64"}, CATEGORICAL],
        [{**NUMERIC, "shape": [2, 3]}, CATEGORICAL],
        [{**NUMERIC, "shape": [4]}, CATEGORICAL],
        [{**NUMERIC, "shape": [0, 2], "data": []}, {**CATEGORICAL, "shape": [0, 1], "data": []}],
        [{**NUMERIC, "shape": [-2, 2]}, {**CATEGORICAL, "shape": [-2, 1]}],
        [{**NUMERIC, "data": [1, 2, 3]}, CATEGORICAL],
        [{**NUMERIC, "data": [1, 2, 3, "4"]}, CATEGORICAL],
        [{**NUMERIC, "data": [1, 2, 3, True]}, CATEGORICAL],
        [{**NUMERIC, "data": [[[1], [2]], [[3], [4]]]}, CATEGORICAL],
        [{**NUMERIC, "data": [1, 2, 3, 1e39]}, CATEGORICAL],
        [{**NUMERIC, "data": [1, 2, 3, 10**400]}, CATEGORICAL],
        [{**NUMERIC, "data": [-1, 2, 3, 4]}, CATEGORICAL],
        [NUMERIC, {**CATEGORICAL, "data": ["A", 1]}],
        [{**NUMERIC, "parameters": {"shared_memory_region": "x"}}, CATEGORICAL],
        [{**NUMERIC, "parameters": {"binary_data_size": 16}}, CATEGORICAL],
    ],
)
def test_tensors_that_do_not_fit_never_reach_the_model(refusing, inputs):
    """Missing, doubled, of another type, shape or range: 422."""
    response = refusing.client.post(URL, json={"inputs": inputs})

    assert (422, []) == (response.status_code, refusing.triton.calls)


@pytest.mark.parametrize("size", ["-1", "x", "99999"])
def test_a_json_size_that_does_not_fit_the_body_is_refused(refusing, size):
    """The header that parts JSON from binary is checked."""
    headers = {"Inference-Header-Content-Length": size}

    assert 400 == refusing.client.post(URL, json={"inputs": []}, headers=headers).status_code


def test_binary_tensors_that_lie_about_their_size_are_refused(stage):
    """Strings that run over, tensors too short, bytes nobody accounts for."""
    numeric = {"name": "numeric", "datatype": "FP32", "shape": [1, 2]}
    text = {"name": "categorical", "datatype": "BYTES", "shape": [1, 1]}
    for tensor, size in ((numeric, 8), (text, 5)):
        tensor["parameters"] = {"binary_data_size": size}
    overrun, not_utf8 = b"\xff\xff\xff\xffA", b"\1\0\0\0\xff"
    zeros = b"\0" * 8
    for raw in (b"", zeros, zeros + b"\0" * 5, zeros + overrun, zeros + not_utf8, zeros * 9):
        content = json.dumps({"inputs": [numeric, text]}).encode()
        headers = {"Inference-Header-Content-Length": str(len(content))}
        response = stage.client.post(URL, content=content + raw, headers=headers)
        assert 422 == response.status_code, raw
    assert [] == stage.triton.calls


def test_more_rows_than_the_version_takes_are_refused(start, triton):
    """The version's maximum is the protocol's, too."""
    stage = start(champion=version_route("1.0.0", triton[1]) | {"maximum_batch": 1})

    assert 422 == stage.client.post(URL, json={"inputs": [NUMERIC, CATEGORICAL]}).status_code


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused(refusing, number):
    """NaN does not stand for a missing value: it is what a failed computation leaves."""
    numeric = {"name": "numeric", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    text = {"name": "categorical", "datatype": "BYTES", "shape": [1, 1], "data": ["A"]}
    content = json.dumps({"inputs": [numeric, text]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(content))}
    raw = np.array([1, number], np.float32).tobytes()
    response = refusing.client.post(URL, content=content + raw, headers=headers)

    assert (422, []) == (response.status_code, refusing.triton.calls)
