"""The batch check against the rules it stands for, row by row."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from include.adapters.tensors import to_tensors
from include.contracts.signatures import Signature
from include.contracts.usability import invalid_feature
from serving.gateway.model_inputs import ModelInputs

NUMBERS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**53 + 1, 10**40, -(10**400), 3.4028234e38, 3.5e38]),
    st.floats(-2, 2),
    st.sampled_from([float("nan"), float("inf"), -float("inf")]),
    st.sampled_from(["1.5", "", "text"]),
)
TEXTS = st.one_of(st.none(), st.text(max_size=3), st.integers(0, 1))


@st.composite
def signatures(draw):
    """A signature of one to three inputs of either kind."""
    kinds = draw(st.lists(st.sampled_from(["numeric", "categorical"]), min_size=1, max_size=3))
    inputs = []
    for index, kind in enumerate(kinds):
        item = {"name": f"f{index}", "kind": kind, "view": "v", "nullable": draw(st.booleans())}
        if kind == "numeric":
            item["minimum"] = draw(st.sampled_from([None, 0, -1.5]))
            item["maximum"] = draw(st.sampled_from([None, 1, 2.5]))
        inputs.append(item)
    return Signature.model_validate({"task": "binary", "inputs": inputs})


@given(data=st.data(), signature=signatures())
def test_it_refuses_what_the_rules_refuse_and_else_gives_the_same_tensors(data, signature):
    """None exactly where a row has an invalid feature; the tensors are those of `to_tensors`, bit by bit."""
    row = st.fixed_dictionaries(
        {item.name: NUMBERS if item.kind == "numeric" else TEXTS for item in signature.inputs}
    )
    rows = data.draw(st.lists(row, min_size=1, max_size=4))
    made = ModelInputs(signature).tensors(rows)
    if any(invalid_feature(signature, values) for values in rows):
        assert made is None
        return
    expected = to_tensors(signature, rows)
    assert expected.keys() == made.keys()
    for name, tensor in expected.items():
        assert (tensor.dtype, tensor.shape) == (made[name].dtype, made[name].shape)
        if tensor.dtype == np.object_:
            assert tensor.tolist() == made[name].tolist()
        else:
            np.testing.assert_array_equal(tensor, made[name])
