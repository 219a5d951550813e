import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from include.contracts.signatures import Task
from include.monitoring.score_shifts import CLASS, DISTRIBUTION, POSITIVE, score_shifts
from include.monitoring.scores import score_edges, score_profile

CHANCES = np.random.default_rng(1).uniform(0, 1, (1_000, 1))
CLASSES = np.random.default_rng(2).dirichlet([1, 2, 3], 1_000)


def profile(task: Task, outputs: np.ndarray, of: np.ndarray | None = None):
    """Return the profile of outputs over the bins of others, or of their own."""
    return score_profile(task, outputs, score_edges(task, outputs if of is None else of), 1.0)


@given(some.sampled_from(Task), some.integers(1, 300), some.integers(0, 99))
def test_every_row_is_in_one_bin_and_one_class(task, rows, seed):
    """Of a regression there are no classes, of two: negative and positive."""
    outputs = np.random.default_rng(seed).uniform(0, 1, (rows, 3 if task is Task.MULTICLASS else 1))
    found = profile(task, outputs)
    assert rows == found.rows == found.independent
    assert len(found.counts) == len(found.edges) + 1
    if task is Task.REGRESSION:
        assert () == found.classes
    else:
        assert rows == sum(found.classes)
        assert (2 if task is Task.BINARY else 3) == len(found.classes)


def test_half_is_positive():
    """From the threshold that accuracy and recall use, itself included."""
    assert (1, 2) == profile(Task.BINARY, np.array([[0.49], [0.5], [0.9]])).classes


@pytest.mark.parametrize(
    ("task", "outputs", "expected"),
    [
        (Task.BINARY, CHANCES, [("score", DISTRIBUTION), ("score", POSITIVE)]),
        (Task.MULTICLASS, CLASSES, [("score", DISTRIBUTION), (CLASS, DISTRIBUTION)]),
        (Task.REGRESSION, CHANCES * 90, [("score", DISTRIBUTION)]),
    ],
)
def test_each_task_has_its_figures(task, outputs, expected):
    """Like outputs show nothing; moved ones show in each."""
    was = profile(task, outputs[:500])
    like = score_shifts(was, profile(task, outputs[500:], outputs[:500]))
    assert expected == [(each.subject, each.metric) for each in like]
    assert all(each.p_value > 0.001 for each in like)
    moved = np.roll(outputs, 1, axis=1) if task is Task.MULTICLASS else outputs**3
    shifted = score_shifts(was, profile(task, moved, outputs[:500]))
    assert all(each.p_value < 1e-6 for each in shifted[-1:])


def test_thirty_percent_positive_that_become_sixty_are_plain():
    """The reference article's own example."""
    dice = np.random.default_rng(3)
    was = (dice.random((2_000, 1)) < 0.3) * 0.5 + 0.2
    now = (dice.random((300, 1)) < 0.6) * 0.5 + 0.2
    [_, positives] = score_shifts(profile(Task.BINARY, was), profile(Task.BINARY, now, was))
    assert positives.effect == pytest.approx(0.3, abs=0.06)
    assert positives.p_value < 1e-15
    assert positives.interval.low < positives.value < positives.interval.high
