import pytest

from include.config.transforms import load_transform
from include.contracts.errors import ContractError

GOOD = '''"""Doubles."""


def double(columns: dict[str, list[float | None]]) -> list[float | None]:
    """Return twice the number."""
    from math import fsum

    return [None if x is None else fsum([x, x]) for x in columns["x"]]
'''


@pytest.fixture
def place(tmp_path):
    """A model folder's transforms."""
    folder = tmp_path / "transforms"
    folder.mkdir()
    (folder / "double.py").write_text(GOOD)
    return folder


def test_a_models_own_transform_comes_first(place, monkeypatch):
    """The model folder's file before the shared one; the hash is of the function alone."""
    own = load_transform("double", place.parent)
    assert [2.0, None] == own.function({"x": [1.0, None]})
    (place / "double.py").write_text(GOOD.replace('"""Doubles."""', '"""Twice."""'))
    assert own.sha256 == load_transform("double", place.parent).sha256
    (place / "double.py").write_text(GOOD.replace("[x, x]", "[x, x, x]"))
    assert own.sha256 != load_transform("double", place.parent).sha256


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "\nFACTOR = 2\n", "one function and nothing else"),
        ("import math\n\n" + GOOD, "one function and nothing else"),
        (GOOD.replace("def double", "def treble"), "must be called 'double'"),
        (GOOD.replace("from math", "from numpy"), "imports numpy"),
        (GOOD.replace("return [", "return ]"), "is not Python"),
    ],
)
def test_what_is_no_self_contained_function_is_refused(place, text, message):
    """Module globals, imports outside, another name, another library, broken text."""
    (place / "double.py").write_text(text)
    with pytest.raises(ContractError, match=message):
        load_transform("double", place.parent)


def test_a_missing_transform_is_named(place):
    """Neither shared nor the model's own."""
    with pytest.raises(ContractError, match="no transform 'halve'"):
        load_transform("halve", place.parent)
