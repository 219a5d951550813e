import numpy as np
import pytest

from include.stats.paired_outputs import QUANTILES, compare_outputs


def test_one_output_is_compared_by_its_signed_difference():
    """The second minus the first, and who falls on the other side of the threshold; it belongs to the yes."""
    found = compare_outputs([[0.2], [0.5], [0.6], [0.9]], [[0.3], [0.4], [0.6], [0.5]], 0.5)

    assert (4, pytest.approx(-0.1), pytest.approx(0.4)) == (
        found.pairs,
        found.mean_difference,
        found.largest_difference,
    )
    assert 1 == found.differing_decisions
    assert pytest.approx(-0.05) == found.quantiles[QUANTILES.index(0.5)]


def test_several_outputs_are_compared_by_the_largest_difference_and_the_winner():
    """Of all classes, without a sign."""
    found = compare_outputs([[0.2, 0.8], [0.6, 0.4]], [[0.3, 0.7], [0.4, 0.6]], None)
    assert (pytest.approx(0.15), 1) == (found.mean_difference, found.differing_decisions)


def test_a_number_decides_nothing():
    """A regression has no threshold."""
    assert compare_outputs([[1.0]], [[2.0]], None).differing_decisions is None


def test_what_makes_no_pairs_is_refused():
    """Shapes that differ, and nothing at all."""
    for one, other in (([[1.0]], [[1.0], [2.0]]), (np.zeros((0, 1)), np.zeros((0, 1)))):
        with pytest.raises(ValueError, match="make no pairs"):
            compare_outputs(one, other, None)
