from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from include.adapters.artefacts import ArtefactStore
from include.contracts.reports import GateReason, Verdict
from include.contracts.windows import training_windows
from include.evaluation.benchmark import benchmark, window_bounds, window_figures, window_gates
from include.evaluation.scored import Scored
from include.stats.metrics import compute_metrics
from tests.synthetic import AS_OF, churn_folder, customers, frozen

BENCHMARK = {"windows": 4, "thresholds": [{"metric": "roc_auc", "minimum": 0.7}]}


def scored(place, *, upside_down_from=None, rows=None, **changes):
    """Score the test window's rows well, from some moment on upside down."""
    contract = churn_folder(place, gates={"benchmark": BENCHMARK}, **changes).contract
    test = training_windows(contract.training, contract.label, AS_OF).test
    frame = customers() if rows is None else rows
    frame = frame[frame["event_at"] >= test.start].sort_values(["event_at", "unit"]).reset_index(drop=True)
    labels = frame["label"].to_numpy()
    dice = np.random.default_rng(1)
    scores = 1 / (1 + np.exp(-(labels - 0.4 + dice.normal(0, 0.5, len(frame)))))
    if upside_down_from:
        scores = np.where(frame["event_at"] >= upside_down_from, 1 - scores, scores)
    scores = scores[:, None]
    return test, Scored(contract, frame, labels, scores, compute_metrics(contract.task, labels, scores))


def test_the_windows_part_the_event_times(tmp_path):
    """They are of one length, follow each other, and end where the last label could still be known."""
    test, judged = scored(tmp_path)
    bounds = window_bounds(test, judged.contract.label.delay, 4)
    assert (test.start, AS_OF - timedelta(days=14)) == (bounds[0][0], bounds[-1][1])
    assert {timedelta(days=7)} == {end - start for start, end in bounds}
    assert all(first[1] == second[0] for first, second in pairwise(bounds))


def test_every_row_is_in_one_window(tmp_path):
    """The last window takes in its end, so no row is lost."""
    test, judged = scored(tmp_path)
    found = window_figures(test, judged, judged)
    assert [250, 250, 250, 500] == [window.rows for window in found]
    assert all(window.metrics == window.champion_metrics for window in found)
    assert {Verdict.PASS} == {gate.verdict for gate in window_gates(judged.contract, found)}


def test_one_bad_week_fails_though_the_whole_is_good(tmp_path):
    """The model fell over in the last window, and the gate says which."""
    test, judged = scored(tmp_path, upside_down_from=AS_OF - timedelta(days=14))
    gates = window_gates(judged.contract, window_figures(test, judged, None))
    assert 0.7 < judged.metrics["roc_auc"]
    assert [Verdict.PASS] * 3 + [Verdict.FAIL] == [gate.verdict for gate in gates]
    assert (GateReason.BELOW_MINIMUM, "2017-10-11 to 2017-10-18") == (gates[-1].reason, gates[-1].subject)


def test_a_window_that_cannot_be_judged_is_no_pass(tmp_path):
    """A week without rows, and a week of one class."""
    frame = customers()
    first = frame["event_at"] == AS_OF - timedelta(days=42)
    stayed = frame.assign(label=frame["label"].where(~first, 0.0))
    for place, (rows, count) in enumerate(((frame[~first], 0), (stayed, 250))):
        test, judged = scored(tmp_path / str(place), rows=rows)
        gate, *others = window_gates(judged.contract, window_figures(test, judged, None))
        assert (Verdict.NOT_MEASURED, GateReason.TOO_FEW_ROWS, None) == (
            gate.verdict,
            gate.reason,
            gate.value,
        )
        assert f"has {count} rows, or one class only" in gate.detail
        assert {Verdict.PASS} == {other.verdict for other in others}


def test_the_hashes_say_what_was_judged(tmp_path):
    """The same definition and rows give the same; another bound, and another label of one row, do not."""
    store = ArtefactStore(tmp_path / "store")
    snapshot = frozen(store, customers())
    _, judged = scored(tmp_path / "a")
    _, stricter = scored(tmp_path / "b", slices=[{"view": "customer_demographics", "column": "age"}])
    first, again = (benchmark(judged.contract, snapshot, judged.rows) for _ in range(2))
    assert first == again
    assert (snapshot.sha256, 4) == (first.snapshot_sha256, first.windows)
    other = benchmark(stricter.contract, snapshot, judged.rows)
    assert first.definition_sha256 != other.definition_sha256
    assert first.rows_sha256 == other.rows_sha256
    changed = judged.rows.assign(label=np.where(judged.rows.index == 3, 1 - judged.labels, judged.labels))
    assert first.rows_sha256 != benchmark(judged.contract, snapshot, changed).rows_sha256


@pytest.mark.parametrize("windows", [1, 3])
def test_the_number_of_windows_is_the_contract_s(tmp_path, windows):
    """One window is the whole."""
    test, judged = scored(tmp_path)
    bounds = window_bounds(test, judged.contract.label.delay, windows)
    assert windows == len(bounds)
