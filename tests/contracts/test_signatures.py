import pytest
from pydantic import ValidationError

from include.contracts.signatures import Signature

SPEND = {"name": "spend", "kind": "numeric", "view": "money"}
READS = [{"name": "last_epoch", "view": "visits"}, {"name": "spend", "view": "money"}, {"name": "event_at"}]
HOURS = {"name": "hours", "kind": "numeric", "transform": "hours", "reads": READS}


def signature(*inputs):
    """Return a binary model's signature."""
    return Signature.model_validate({"task": "binary", "inputs": inputs})


def test_what_transforms_read_is_fetched_too():
    """Views hold inputs and what transforms read, each once; the tensors hold inputs alone."""
    found = signature(SPEND, HOURS)
    assert {"money": ("spend",), "visits": ("last_epoch",)} == found.views
    assert ("spend", "hours") == found.numeric
    assert ("hours",) == tuple(item.name for item in found.transformed)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([{**HOURS, "reads": []}], "go together"),
        ([{**SPEND, "reads": READS}], "go together"),
        ([{**HOURS, "reads": [{"name": "amount"}]}], "a request brings only 'event_at'"),
        ([SPEND, {**HOURS, "reads": [{"name": "spend", "view": "visits"}]}], ": money:spend, visits:spend"),
        ([{**HOURS, "reads": [{"name": "hours", "view": "visits"}]}], ": transform:hours, visits:hours"),
        ([{**HOURS, "view": "money"}], "exactly one of 'view' and 'transform'"),
    ],
)
def test_contradictions_are_refused(inputs, message):
    """A transform without inputs, inputs without one, unknown request fields, names with two meanings."""
    with pytest.raises(ValidationError, match=message):
        signature(*inputs)
