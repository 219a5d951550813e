from dataclasses import replace

import numpy as np
import pytest

from include.contracts.errors import DataError
from include.contracts.reports import GateReason, SliceStatus, Verdict
from include.contracts.signatures import Task
from include.evaluation.scored import Scored
from include.evaluation.slices import slice_figures, slice_gates
from include.stats.metrics import compute_metrics
from tests.synthetic import churn_folder, customers

AGE = "slice:customer_demographics.age"


def scored(place, told, *, seed=1, flipped=(), gates=None, minimum_rows=100):
    """Score rows whose AUC is about 0.8, in slices of one column; `flipped` ones are scored upside down."""
    contract = churn_folder(
        place,
        slices=[{"view": "customer_demographics", "column": "age", "minimum_rows": minimum_rows}],
        gates={"slices": gates if gates is not None else [{"metric": "roc_auc", "minimum": 0.75}]},
    ).contract
    dice = np.random.default_rng(seed)
    rows = customers(units=len(told), weeks=1).assign(**{AGE: told})
    rows["label"] = (dice.random(len(rows)) < 0.4).astype(float)
    scores = 1 / (1 + np.exp(-(1.2 * (rows["label"].to_numpy() - 0.4) + dice.normal(size=len(rows)))))
    scores = np.where(np.isin(np.asarray(told, str), flipped), 1 - scores, scores)[:, None]
    labels = rows["label"].to_numpy()
    return Scored(contract, rows, labels, scores, compute_metrics(contract.task, labels, scores))


def told(**counts):
    """Return a column with each value as often as told."""
    return np.array([name for name, count in counts.items() for _ in range(count)], object)


def test_every_value_is_a_slice_and_so_is_none(tmp_path):
    """Small ones are listed with their size and not judged; together they hold every row once."""
    column = np.append(told(A=300, B=20), [None] * 150)
    found = slice_figures(scored(tmp_path, column))
    assert [("A", 300), ("B", 20), (None, 150)] == [(each.value, each.rows) for each in found]
    statuses = [SliceStatus.JUDGED, SliceStatus.TOO_FEW_ROWS, SliceStatus.JUDGED]
    assert statuses == [each.status for each in found]
    assert {} == found[1].metrics == found[1].intervals
    interval = found[0].intervals["roc_auc"]
    assert interval.low < found[0].metrics["roc_auc"] == interval.value < interval.high


def test_a_slice_of_one_class_is_not_judged(tmp_path):
    """Nothing can be ranked there, and the report says so."""
    given = scored(tmp_path, told(A=300, B=150))
    labels = np.where(given.rows[AGE] == "B", 0.0, given.labels)
    status = {each.value: each.status for each in slice_figures(replace(given, labels=labels))}
    assert {"A": SliceStatus.JUDGED, "B": SliceStatus.ONE_CLASS} == status


def test_a_bad_slice_fails_and_is_named(tmp_path):
    """One of three is scored upside down: its value, interval and rows are in the sentence."""
    given = scored(tmp_path, told(A=600, B=600, C=200), flipped=("C",))
    (gate,) = slice_gates(given, slice_figures(given))
    name = "customer_demographics.age = C"
    assert (Verdict.FAIL, GateReason.WORSE_ON_A_SLICE, name) == (gate.verdict, gate.reason, gate.subject)
    assert f"1 of 3 slices are shown to miss roc_auc at least 0.7500; these: {name}: 0." in gate.detail
    assert "on 200 rows" in gate.detail


@pytest.mark.parametrize("bad", ["missing", "no value"])
def test_a_bad_value_that_reads_like_none_is_not_hidden(tmp_path, bad):
    """Rows without a value are served well, those with the text are not."""
    given = scored(tmp_path, np.array([None] * 600 + [bad] * 300, object), flipped=(bad,))
    (gate,) = slice_gates(given, slice_figures(given))
    assert (Verdict.FAIL, f"customer_demographics.age = {bad}") == (gate.verdict, gate.subject)
    assert "1 of 2 slices are shown" in gate.detail


def test_a_column_of_one_name_in_two_views_hides_no_bad_slice(tmp_path):
    """Both views call it age and know a value B, which is served badly in the first, well in the second."""
    given = scored(tmp_path, told(A=600, B=300))
    (part,) = given.contract.slices
    other = part.model_copy(update={"view": "customer_spending"})
    contract = given.contract.model_copy(update={"slices": (part, other)})
    rows = given.rows.assign(**{other.frozen_as: told(B=300, **{f"rare {place}": 50 for place in range(12)})})
    given = upside_down(replace(given, contract=contract, rows=rows), np.asarray(rows[AGE] == "B"))
    (gate,) = slice_gates(given, slice_figures(given))
    assert (Verdict.FAIL, "customer_demographics.age = B") == (gate.verdict, gate.subject)
    assert "1 of 3 slices are shown" in gate.detail


def upside_down(given, mask):
    """Return the scored rows, those under a mask scored the wrong way round."""
    scores = np.where(mask[:, None], 1 - given.scores, given.scores)
    return replace(given, scores=scores)


def test_chance_does_not_fail_many_small_slices(tmp_path):
    """Of 20 slices of 100 rows that all just reach the bound about half lie below it, and none is blamed."""
    names = [f"v{number}" for number in range(20)]
    blamed = 0
    for seed in range(3, 9):
        given = scored(tmp_path / str(seed), np.repeat(np.array(names, object), 100), seed=seed, gates=BOUND)
        figures = slice_figures(given)
        assert 5 < sum(each.metrics["roc_auc"] < 0.80 for each in figures) < 15
        (gate,) = slice_gates(given, figures)
        blamed += gate.verdict is Verdict.FAIL
    assert blamed <= 1


BOUND = [{"metric": "roc_auc", "minimum": 0.80}]


def test_an_upper_bound_turns_the_question(tmp_path):
    """Where smaller is better, a slice far above the bound fails and one far below passes."""
    for maximum, verdict in ((0.25, Verdict.FAIL), (0.6, Verdict.PASS)):
        bound = [{"metric": "brier", "maximum": maximum}]
        given = scored(tmp_path / str(maximum), told(A=600, C=300), flipped=("C",), gates=bound)
        (gate,) = slice_gates(given, slice_figures(given))
        assert verdict is gate.verdict


def test_a_training_set_without_the_column_is_not_measured(tmp_path):
    """It was frozen before the contract named the slice; no evidence is no pass."""
    given = scored(tmp_path, told(A=300))
    without = replace(given, rows=given.rows.drop(columns=AGE))
    assert () == slice_figures(without)
    (gate,) = slice_gates(without, ())
    assert (Verdict.NOT_MEASURED, GateReason.COLUMN_NOT_FROZEN) == (gate.verdict, gate.reason)
    assert AGE in gate.detail


def test_no_slice_large_enough_is_no_pass(tmp_path):
    """A bound on slices that was held against none of them shows nothing; the ways out are named."""
    given = scored(tmp_path, told(A=300), minimum_rows=301)
    (gate,) = slice_gates(given, slice_figures(given))
    assert (Verdict.NOT_MEASURED, GateReason.NO_SLICE_LARGE_ENOUGH) == (gate.verdict, gate.reason)
    assert "rows of both classes; the largest has 300: lower minimum_rows" in gate.detail


def test_a_regression_has_no_classes(tmp_path):
    """What a slice lacks is told in the words of the task."""
    given = scored(tmp_path, told(A=300), minimum_rows=301)
    regression = given.contract.model_copy(update={"task": Task.REGRESSION})
    (gate,) = slice_gates(replace(given, contract=regression), slice_figures(given))
    assert "none of 1 slices has its minimum of rows; the largest has 300" in gate.detail


def test_a_column_of_too_many_values_is_refused(tmp_path):
    """An identifier parts nothing into groups."""
    given = scored(tmp_path, np.array([f"id {number}" for number in range(200)], object))
    with pytest.raises(DataError, match="slice age of customer_demographics has 200 values"):
        slice_figures(given)
