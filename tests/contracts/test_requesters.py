"""Several who asked travel as one text, and each is found in it."""

import pytest

from include.contracts.requesters import is_requester, joined_requesters


@pytest.mark.parametrize(
    ("names", "joined"),
    [
        (["ada"], "ada"),
        (["bob", "ada", "bob", "system"], "ada, bob"),
        (["system"], "system"),
        ([], "system"),
    ],
)
def test_requesters_are_joined_in_one_way(names, joined):
    """Each once, in order of the alphabet; the system only where nobody asked."""
    assert joined == joined_requesters(names)


@pytest.mark.parametrize(
    ("name", "requested_by", "expected"),
    [
        ("ada", "ada", True),
        ("ada", "ada, bob", True),
        ("bob", "ada, bob", True),
        ("ad", "ada, bob", False),
        ("a", "ada", False),
        ("lovelace, ada", "bob, lovelace, ada", True),
        ("system", "system", False),
    ],
)
def test_each_requester_is_found(name, requested_by, expected):
    """Whole names only; one that holds the separator hides nobody."""
    assert expected == is_requester(name, requested_by)
