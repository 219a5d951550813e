"""What the feature benchmark publishes: bounds named as bounds, parts that replace only themselves."""

import json

import pytest

from include.commands.bench_features import slope
from include.commands.bench_features_measure import Limits, Measurement, Runs, interleaved, ratio
from include.commands.bench_features_page import NAME, targets, write_page
from include.commands.benchmark_parts import read_parts

FAST = Runs([Measurement(seconds, 1.0, 100.0, 7) for seconds in (1.0, 2.0, 9.0)])
STOPPED = Runs([Measurement(30.0, 0.0, 900.0, 0, complete=False)])
ORIGIN = {"commit": "abc", "commit_dirty": False, "load_average_before": 0.5}


def test_figures_are_medians():
    """A slow outlier does not move a figure."""
    assert {"x_seconds": 2.0, "x_cpu_seconds": 1.0, "x_peak_mib": 100.0, "x_runs": 3} == FAST.figures("x")


def test_a_stopped_run_is_published_as_a_bound_only():
    """What never finished has no time of its own."""
    assert {"x_seconds_at_least": 30.0, "x_peak_mib_at_least": 900.0, "x_runs": 1} == STOPPED.figures("x")
    assert {"lead_at_least": 15.0} == ratio("lead", STOPPED, FAST)


def test_a_run_that_passes_its_limit_is_stopped_and_not_repeated(tmp_path):
    """A run of minutes ends at its limit, once, however many runs were asked for."""
    arguments = {"folder": str(tmp_path), "first": "2017-02-01", "views": None}
    (runs,) = interleaved(3, Limits(seconds=0.5, mib=100_000), ("history", arguments))
    assert [False] == [item.complete for item in runs.measurements]


def test_a_run_that_passes_its_memory_is_stopped(tmp_path):
    """Memory is watched from outside, so that one run cannot take the machine."""
    arguments = {"folder": str(tmp_path), "first": "2017-02-01", "views": None}
    (runs,) = interleaved(1, Limits(seconds=600, mib=20), ("history", arguments))
    assert not runs.complete
    assert runs.peak_mib > 20


def test_a_part_replaces_its_own_figures_and_keeps_the_others(tmp_path):
    """A bound of before does not outlive the measurement that took its place."""
    first = {"joins": {"a_seconds_at_least": 9.0, **ORIGIN}, "year": {"features_2017_seconds": 3.0, **ORIGIN}}
    write_page(first, tmp_path)
    write_page(
        read_parts(NAME, tmp_path) | {"joins": {"a_seconds": 4.0, **ORIGIN, "commit": "def"}}, tmp_path
    )
    record = json.loads((tmp_path / "features.json").read_text())
    assert (4.0, 3.0) == (record["a_seconds"], record["features_2017_seconds"])
    assert "a_seconds_at_least" not in record
    assert ("def", "abc") == (record["of_part_joins_commit"], record["of_part_year_commit"])


@pytest.mark.parametrize(("seconds", "verdict"), [(4.9, "| 4.9 | reached |"), (5.1, "| 5.1 | **missed** |")])
def test_the_page_says_what_was_missed(seconds, verdict):
    """A target that was not reached is called missed."""
    assert verdict in targets({"features_2017_seconds": seconds})


def test_the_page_says_what_was_not_measured():
    """A target without a figure is no target reached."""
    assert "reached |" not in targets({}).split("|---|", 1)[1]


def test_slope_is_the_exponent_of_growth():
    """Time that grows with the square of the rows has the exponent two."""
    assert pytest.approx(2.0) == slope([(1, 3), (10, 300), (50, 7500)])


@pytest.mark.parametrize(
    ("bound", "verdict"), [(5.1, "| > 5.1 | open: only a bound |"), (18.0, "| > 18 | reached |")]
)
def test_a_bound_below_its_target_leaves_it_open(bound, verdict):
    """What was stopped may have reached it; a bound above the target has."""
    assert verdict in targets({"asof_over_feast_duckdb_speedup_1m_10_views_at_least": bound})
