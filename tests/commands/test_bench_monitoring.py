"""The benchmark of the monitors, at a size a test can bear."""

import pytest

from include.commands.bench_monitoring import detection, feature_drift
from include.commands.bench_monitoring.page import write_page
from include.commands.bench_monitoring.parts import PARTS


def test_figures_are_right_at_a_small_size():
    """KS is scipy's and the index the formula's to 1e-9, on the benchmark's own rows."""
    assert pytest.approx((0.0, 0.0), abs=1e-9) == feature_drift._differences(20_000)
    assert feature_drift._ours(1_000) > 0


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


def test_a_part_alone_makes_a_page(monkeypatch, tmp_path):
    """Whatever parts there are, picture and table are written."""
    monkeypatch.setattr("include.commands.bench_monitoring.page.BENCHMARKS", tmp_path)
    monkeypatch.setattr("include.commands.bench_monitoring.page.write_record", lambda *_, **__: tmp_path)
    about = {"commit": "c", "commit_dirty": False, "load_average_before": 0.1}
    figures = {"feature_drift_found_ratio_shift_0.5_sd_of_300_rows": 0.4}
    write_page({"detection": figures | about})
    assert (tmp_path / "monitoring.png").read_bytes().startswith(b"\x89PNG")
    assert {"feature_drift", "detection"} <= set(PARTS)
