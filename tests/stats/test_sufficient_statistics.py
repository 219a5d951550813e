"""Tests of statistics that add up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.stats.sufficient_statistics import JointMoments, Moments, Proportion

NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=30)


def joint(pairs):
    """Return the moments of pairs."""
    table = np.array(pairs).reshape(-1, 2)
    return JointMoments.of(table[:, 0], table[:, 1])


def alike(one, other):
    """Tell whether two samples have the same moments, up to rounding at the scale of their squares."""
    scale = 1e-9 * (1.0 + max(one.squares_x, one.squares_y, abs(one.mean_x) ** 2, abs(one.mean_y) ** 2))
    return one.units == other.units and all(
        abs(getattr(one, name) - getattr(other, name)) <= scale
        for name in ("mean_x", "mean_y", "squares_x", "squares_y", "products")
    )


@given(PAIRS, PAIRS)
def test_merging_equals_pooling(first, second):
    """Added moments are those of all rows together."""
    assert alike(joint(first + second), joint(first) + joint(second))


@given(PAIRS, PAIRS)
def test_order_does_not_matter(first, second):
    """Addition commutes."""
    assert alike(joint(first) + joint(second), joint(second) + joint(first))


@given(PAIRS, PAIRS, PAIRS)
def test_grouping_does_not_matter(first, second, third):
    """Addition associates: by day, by shard, by stage, all the same."""
    one, two, three = joint(first), joint(second), joint(third)

    assert alike((one + two) + three, one + (two + three))


@given(PAIRS)
def test_the_empty_sample_changes_nothing(pairs):
    """It is the neutral element."""
    assert alike(joint(pairs), joint(pairs) + JointMoments())
    assert alike(joint(pairs), JointMoments() + joint(pairs))


@given(st.lists(NUMBERS, max_size=30), st.lists(NUMBERS, max_size=30))
def test_single_moments_are_joint_ones_of_one_number(first, second):
    """Both kinds merge alike."""
    merged = Moments.of(first) + Moments.of(second)
    twin = JointMoments.of(first, first) + JointMoments.of(second, second)

    assert (twin.units, pytest.approx(twin.mean_x), pytest.approx(twin.squares_x)) == (
        merged.units,
        merged.mean,
        merged.squares,
    )


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=6))
def test_proportions_add_up(counts):
    """Successes and trials, exactly."""
    parts = [Proportion(hits, hits + misses) for hits, misses in counts]

    assert Proportion(sum(hits for hits, _ in counts), sum(sum(pair) for pair in counts)) == sum(
        parts[1:], start=parts[0]
    )


def test_a_large_mean_with_a_small_spread_loses_no_digits():
    """Sums of squares about zero would be all rounding here."""
    values = 1e9 + np.random.default_rng(0).normal(size=10_000)
    merged = Moments()
    for part in np.array_split(values, 100):
        merged += Moments.of(part)

    assert pytest.approx(values.var(ddof=1), rel=1e-6) == merged.variance


def test_variances_are_those_of_numpy():
    """Sample variances and covariance, with n - 1."""
    x, y = np.random.default_rng(1).normal(size=(2, 50))
    sample = JointMoments.of(x, y)

    assert pytest.approx(np.cov(x, y)) == np.array(
        [[sample.variance_x, sample.covariance], [sample.covariance, sample.variance_y]]
    )
    assert pytest.approx(x.std(ddof=1)) == Moments.of(x).standard_deviation


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: Proportion(3, 2), "cannot be"),
        (lambda: Proportion(-1, 2), "cannot be"),
        (lambda: Proportion(0, 0).share, "no trials"),
        (lambda: JointMoments.of([1.0], [1.0, 2.0]), "one number a unit"),
        (lambda: JointMoments.of([float("nan")], [1.0]), "finite"),
        (lambda: JointMoments(2, squares_x=-1.0), "not negative"),
        (lambda: JointMoments(1).variance_x, "at least two units"),
        (lambda: Moments(1).variance, "at least two units"),
        (lambda: Moments(2, float("inf")), "no sample has"),
    ],
)
def test_samples_that_cannot_be_are_refused(build, reason):
    """The message says why."""
    with pytest.raises(ValueError, match=reason):
        build()
