"""The benchmark of the monitors, at a size a test can bear."""

import pytest

from include.commands.bench_monitoring import detection, feature_drift, label_join, performance
from include.commands.bench_monitoring.page import write_page
from include.commands.bench_monitoring.parts import PARTS


def test_figures_are_right_at_a_small_size():
    """KS is scipy's and the index the formula's to 1e-9, on the benchmark's own rows."""
    assert pytest.approx((0.0, 0.0), abs=1e-9) == feature_drift._differences(20_000)
    assert all(seconds > 0 for seconds in feature_drift._ours(1_000))
    assert 101.0 == pytest.approx(feature_drift._line({50_000: 6.0, 150_000: 16.0}))


def test_detectors_find_what_is_there_and_nothing_else(monkeypatch):
    """A few weeks: quiet where nothing happens, sure where much does, and the naive rules cry."""
    sizes = {"WEEKS": 4, "POWER_RUNS": 10, "INPUT_WEEKS": 2, "INPUT_RUNS": 5, "WINDOW_ROWS": (1_000,)}
    for name, value in sizes.items():
        monkeypatch.setattr(detection, name, value)
    found = detection.measure_detection()
    assert 0.0 == found["feature_drift_weeks_with_a_false_alarm_ratio_of_1000_rows"]
    assert found["feature_drift_looks_with_a_false_alarm_ratio_raw_p_value_of_1000_rows"] > 0.2
    assert 1.0 == found["feature_drift_found_ratio_shift_0.5_sd_of_1000_rows"]
    assert 1.0 == found["feature_drift_found_ratio_category_renamed_of_1000_rows"]
    assert 1.0 == found["prediction_drift_found_ratio_scores_times_1.5_of_1000_rows"]
    assert 1.0 == found["calibration_found_ratio_scores_0.2_too_high_of_1000_rows"]


def test_the_join_is_right_and_again_does_nothing(tmp_path):
    """On the benchmark's own rows: late labels and corrections reopen their days, and nothing is lost."""
    label_join.made_up(tmp_path, 2, 2_000)
    assert 3_800 == pytest.approx(label_join.joined(tmp_path, label_join.IN_TIME)[0], rel=0.02)
    assert 200 == pytest.approx(label_join.joined(tmp_path, label_join.AT_LAST)[0], rel=0.5)
    assert (0, 0) == (
        label_join.joined(tmp_path, label_join.AT_LAST)[0],
        label_join.mismatches(tmp_path, 2, 2_000),
    )


def test_declines_are_found_and_healthy_weeks_are_quiet(monkeypatch):
    """One world: a slide only the frozen baseline sees, causes by their names."""
    sizes = {"WORLDS": 1, "CAUSES": 1, "UNITS": (1_000,), "FLIPPED": (0.3,), "SLIDING": 40}
    for name, value in sizes.items():
        monkeypatch.setattr(performance, name, value)
    found = performance.measure_performance()
    assert 0.0 == found["performance_weeks_with_a_false_alarm_ratio_of_1000_labels_a_day"]
    assert 1.0 == found["performance_found_ratio_first_day_0.3_of_units_turned_of_1000_labels_a_day"]
    assert 1.0 == found["retrain_requested_ratio_within_a_week_0.3_of_units_turned_of_1000_labels_a_day"]
    assert 1.0 == found["performance_slide_found_ratio_degradation_vs_baseline_of_1000_labels_a_day"]
    assert 1.0 == found["cause_right_ratio_changed_relation"]


def test_a_part_alone_makes_a_page(monkeypatch, tmp_path):
    """Whatever parts there are, picture and table are written."""
    monkeypatch.setattr("include.commands.bench_monitoring.page.BENCHMARKS", tmp_path)
    monkeypatch.setattr("include.commands.bench_monitoring.page.write_record", lambda *_, **__: tmp_path)
    about = {"commit": "c", "commit_dirty": False, "load_average_before": 0.1}
    figures = {"feature_drift_found_ratio_shift_0.5_sd_of_300_rows": 0.4}
    write_page({"detection": figures | about})
    assert (tmp_path / "monitoring.png").read_bytes().startswith(b"\x89PNG")
    assert {"feature_drift", "detection"} <= set(PARTS)
