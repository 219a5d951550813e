import pytest
from hypothesis import given
from hypothesis import strategies as some

from include.stats.effective_rows import effective_rows


@given(some.lists(some.integers(1, 50), min_size=1, max_size=50))
def test_it_lies_between_one_and_the_units(rows):
    """Units that ask equally often count each as one; one that asks most of the time is nearly alone."""
    assert 1.0 <= effective_rows(rows) <= len(rows) + 1e-9


def test_equal_units_count_fully():
    """Ten customers with three rows each are ten witnesses, and one with thousands adds nothing to them."""
    assert effective_rows([3] * 10) == pytest.approx(10.0)
    assert effective_rows([100_000] + [1] * 10) == pytest.approx(1.0, abs=0.01)
    assert effective_rows([]) == 0.0
