import numpy as np

from include.adapters.tensors import from_tensors, serialise, to_tensors
from include.contracts.signatures import Signature

SIGNATURE = Signature.model_validate(
    {
        "task": "binary",
        "inputs": [
            {"name": "spend", "kind": "numeric", "view": "v"},
            {"name": "category", "kind": "categorical", "view": "v"},
            {"name": "orders", "kind": "numeric", "view": "v"},
        ],
    }
)


def test_missing_values_become_nan_and_the_empty_string():
    """A missing number is NaN, a missing string is empty; columns follow the signature."""
    tensors = to_tensors(SIGNATURE, [{"orders": 2, "spend": 1.5, "category": "é"}, {"spend": None}])

    np.testing.assert_array_equal([[1.5, 2.0], [np.nan, np.nan]], tensors["numeric"])
    assert np.float32 == tensors["numeric"].dtype
    assert [["é".encode()], [b""]] == tensors["categorical"].tolist()


def test_rows_survive_the_way_there_and_back():
    """What float32 and strings can hold comes back as it was."""
    rows = [{"spend": 1.5, "category": "A", "orders": None}, {"spend": -2.0, "category": None, "orders": 3.0}]

    assert rows == from_tensors(SIGNATURE, to_tensors(SIGNATURE, rows))


def test_a_tensor_without_columns_is_left_out():
    """A signature without categorical inputs has no categorical tensor."""
    numeric = Signature(task="regression", inputs=(SIGNATURE.inputs[0],))

    assert ["numeric"] == list(to_tensors(numeric, [{"spend": 1}]))


def test_raw_contents_are_as_triton_reads_them():
    """Numbers little endian in C order, strings after their length (KServe v2, binary tensor data)."""
    tensors = to_tensors(SIGNATURE, [{"spend": 1.0, "orders": 2.0, "category": "AB"}])

    assert b"\x00\x00\x80?\x00\x00\x00@" == serialise(tensors["numeric"])
    assert b"\x02\x00\x00\x00AB" == serialise(tensors["categorical"])
