"""What the gateway's benchmark publishes."""

import json
from pathlib import Path

import pytest

from include.commands.bench_gateway.closed_loop import Answers
from include.commands.bench_gateway.measure import Measurement, Runs
from include.commands.bench_gateway.overload import HealthChecks, overload_figures
from include.commands.bench_gateway.page import NAME, notes, write_page
from include.commands.bench_gateway.parts import full_ratios
from include.commands.bench_gateway.peer_runs import CONNECTIONS, OURS, peak_figures
from include.commands.benchmark_parts import read_parts

ORIGIN = {"commit": "abc", "commit_dirty": False, "load_average_before": 0.5}


def runs(*rps: float, p50_ms: float = 1.0) -> Runs:
    """Runs of two seconds with these rates."""
    return Runs(
        [
            Measurement(
                Answers(int(2 * each), int(2 * each) + 1, 2, 2.0, p50_ms, 2.0, 3.0, 4.0),
                {"gateway": each / 100},
                {"gateway": 90.0},
            )
            for each in rps
        ]
    )


def test_figures_are_medians_with_cpu_for_a_thousand_right_answers() -> None:
    """An outlier moves no figure; what failed is summed up."""
    found = runs(100.0, 300.0, 9000.0).figures("x")
    assert found["x_rps"] == 300.0
    assert found["x_failed"] == 9
    assert found["x_runs"] == 3
    assert found["x_gateway_cpu_seconds_per_1000"] == pytest.approx(5.0)
    assert found["x_gateway_rss_mib"] == 90.0


def test_kinds_are_compared_turn_by_turn() -> None:
    """A machine that was twice as fast for one turn moves no ratio."""
    assert runs(80.0, 160.0, 90.0).over(runs(100.0, 200.0, 100.0)) == 0.8


def test_full_duty_is_held_against_the_faster_encoding() -> None:
    """Bare Triton is the better of its two."""
    results = {
        "full_duty": runs(60.0),
        "full_duty_c1": runs(5.0, p50_ms=1.25),
        "triton_http_json": runs(80.0),
        "triton_http_binary": runs(100.0),
    }
    assert full_ratios(results) == {"full_duty_over_triton_http": 0.6, "single_p50_ms": 1.25}


def test_full_duty_is_held_against_the_peak_of_the_best_peer() -> None:
    """A peer's peak is over all numbers of connections; ours is told at 64, and at its peak."""
    tops = {"kserve": (10.0, 20.0, 40.0), "ray": (5.0, 4.0, 3.0)}
    results = {OURS: runs(200.0), f"{OURS}_c16": runs(90.0), f"{OURS}_c256": runs(240.0)}
    for name, rates in tops.items():
        for count, rps in zip(CONNECTIONS, rates, strict=True):
            results[name if count == 64 else f"{name}_c{count}"] = runs(rps)
    found = peak_figures(results, list(tops))
    assert found["best_peer"] == "kserve"
    assert found["slowest_peer_peak_rps"] == 5.0
    assert found["full_duty_over_best_peer"] == 5.0
    assert found["full_duty_peak_over_best_peer"] == 6.0


def test_overload_counts_right_answers_over_the_peak() -> None:
    """Refusals are no goodput, nor is what was never sent lost; memory is told before, at most and after."""
    taken = [
        Answers(right, 1000, 7, 2.0, 1.0, 1.0, 1.0, 1.0, refused=700, unsent=4, served_p99_ms=250.0)
        for right in (160, 180, 200)
    ]
    checks = [HealthChecks([1.0] * 99 + [50.0], 0, [100.0, top, 105.0]) for top in (120.0, 110.0, 132.0)]
    found = overload_figures(taken, [100.0, 100.0, 100.0], checks, [100.0, 101.0, 102.0])
    assert found["overload_goodput_ratio"] == 0.9
    assert (found["overload_refused"], found["overload_fallbacks"]) == (2100, 140 + 120 + 100)
    assert (found["overload_lost"], found["overload_unsent"]) == (9, 12)
    assert found["overload_served_p99_ms"] == 250.0
    assert (found["overload_rss_first_most_mib"], found["overload_rss_most_mib"]) == (120.0, 132.0)
    assert found["overload_kib_per_connection"] == 8.0
    assert found["overload_rss_growth_ratio"] == 1.1


def test_the_page_says_what_was_reached_missed_and_not_measured() -> None:
    """A figure just short of its bound is missed."""
    text = notes(runs(9999.0).figures("full_duty") | {"full_duty_p99_ms": 25.0})
    assert "10,000 requests a second | 9,999 | **missed** |" in text
    assert "| Its p99: 25 ms | 25 | reached |" in text
    assert "5 times | | not measured |" in text


def test_an_absent_peer_is_named_with_its_reason(tmp_path: Path) -> None:
    """The table has the others; written and read again, parts keep their own figures."""
    figures = runs(50.0).figures("kserve") | {"ray_absent": "no wheel for this machine", **ORIGIN}
    write_page({"peers": figures}, tmp_path)
    page = (tmp_path / f"{NAME}.md").read_text()
    assert "| kserve, 64 | 50 | 1.00 | 2.00 | 3.00 | 3 | gateway 5.000 | gateway 90 |" in page
    assert "- ray is absent: no wheel for this machine" in page
    write_page(read_parts(NAME, tmp_path) | {"full": runs(9.0).figures("full_duty") | ORIGIN}, tmp_path)
    record = json.loads((tmp_path / f"{NAME}.json").read_text())
    assert (record["kserve_rps"], record["full_duty_rps"]) == (50.0, 9.0)
    assert record["of_part_full_commit"] == "abc"
