import json
from pathlib import Path

import pytest

from include.commands import bench_experiments


@pytest.mark.slow
def test_small_logs_are_analysed_and_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every unit and outcome is found, first and later; logs that were made up before are used again."""
    monkeypatch.setattr(bench_experiments, "REPEATS", 1)
    for _ in range(2):
        bench_experiments.record(14_000, tmp_path / "docs", tmp_path / "data")
        record = json.loads((tmp_path / "docs" / "experiments.json").read_text())
        assert (2_800, 14_000) == (record["units"], record["outcomes"])
        assert record["outcomes_counted"] > 13_900
        assert 0 < record["cpu_seconds_best"]
    assert {"experiments.json", "experiments.md", "experiments.png"} == {
        path.name for path in (tmp_path / "docs").iterdir()
    }
