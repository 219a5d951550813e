import json

import numpy as np

from include.commands import bench_log
from include.commands.bench_log import uuids
from include.contracts.identifiers import time_of


def test_made_up_ids_are_uuids_of_their_time():
    """What the benchmark looks up is what the gateway hands out."""
    milliseconds = np.array([0, 1_509_537_600_123, (1 << 48) // 200])
    ids = uuids(milliseconds, np.random.default_rng(1)).to_pylist()

    assert milliseconds.tolist() == [round(time_of(each).timestamp() * 1_000) for each in ids]


def test_a_small_log_is_measured_and_written_down(tmp_path, monkeypatch):
    """Every look-up finds its row and reads a part of the log; the record has its page and its picture."""
    monkeypatch.setattr(bench_log, "SAMPLES", 1_000)
    monkeypatch.setattr(bench_log, "LOOK_UPS", 5)
    monkeypatch.setattr(bench_log, "BATCHES", 5)
    monkeypatch.setenv("NINETY_HOME", str(tmp_path / "home"))
    bench_log.settings.cache_clear()
    bench_log.record(30_000, tmp_path)
    bench_log.settings.cache_clear()
    record = json.loads((tmp_path / "log.json").read_text())

    assert 30_000 == record["rows"]
    assert 0 < record["lookup_bytes_p50"] < record["log_bytes"]
    assert {"log.json", "log.md", "log.png", "home"} == {path.name for path in tmp_path.iterdir()}
    assert [] == list((tmp_path / "home").iterdir())
