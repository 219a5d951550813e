"""Measurements over a long time, as pages read them."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from include.adapters.measured_history import MeasuredHistory
from include.adapters.measurements import MeasurementStore
from include.contracts.measurements import Monitor
from tests.adapters.test_measurements import DAY, START, a_run, figure

WHOLE = {"version": None, "variant": None, "slice": None}


@pytest.fixture
def history(ledger_url: str) -> Iterator[MeasuredHistory]:
    """Ten days of a metric about everybody, by version and of a slice; the fifth was measured twice."""
    with closing(MeasurementStore(ledger_url)) as store:
        for day in range(1, 11):
            run = a_run(day, Monitor.PERFORMANCE)
            told = [figure(run, value=day / 10), figure(run, value=0.0).model_copy(update=WHOLE)]
            again = figure(a_run(5, Monitor.PERFORMANCE), value=0.5).model_copy(update=WHOLE)
            store.record(run, [*told, again] if day == 7 else told)
    with closing(MeasuredHistory(ledger_url)) as found:
        yield found


def test_a_figure_about_everybody_is_of_no_part(history):
    """Not a version's, not a slice's, none before the moment; what was measured later comes later."""
    found = history.about_everybody("churn", Monitor.PERFORMANCE, "ks", START + 4 * DAY)
    assert [5, 6, 7, 5, 8, 9, 10] == [(each.end - START).days for each in found]
    assert [0.5] == [each.value for each in found if each.value]
    assert {timedelta(days=1)} == {each.end - each.start for each in found}
    assert () == history.about_everybody("churn", Monitor.PERFORMANCE, "psi", START)


def test_looks_are_left_out_whole(history):
    """Every n-th of them, counted back from the latest, and each as it was."""
    found = history.thinned("churn", Monitor.PERFORMANCE, START, START + 10 * DAY, 4)
    assert [1, 4, 5, 7, 10] == sorted({(each.window_end - START).days for each in found})
    assert 9 == len(found)
