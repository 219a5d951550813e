import json

import pytest

from include.commands import bench_ledger


@pytest.mark.services
@pytest.mark.usefixtures("postgres")
def test_a_short_run_is_measured_and_written_down(tmp_path, monkeypatch):
    """Both databases take every event; the record has its page and its picture."""
    monkeypatch.setattr(bench_ledger, "ROUNDS", 1)
    monkeypatch.setenv("NINETY_HOME", str(tmp_path / "home"))
    bench_ledger.settings.cache_clear()
    bench_ledger.record(3, tmp_path)
    bench_ledger.settings.cache_clear()
    record = json.loads((tmp_path / "ledger.json").read_text())

    assert record["postgresql_events_per_second"] > 0
    assert record["sqlite_events_per_second"] > 0
    assert {"ledger.json", "ledger.md", "ledger.png", "home"} == {path.name for path in tmp_path.iterdir()}
