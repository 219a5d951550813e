import json

import pytest

from include.commands import bench_ledger


@pytest.mark.parametrize(("found", "verdict"), [(499.9, "**missed**"), (500.0, "reached")])
def test_the_page_says_whether_enough_was_reached(found, verdict):
    """Just short of it is missed."""
    assert bench_ledger.reached({"postgresql_events_per_second": found}).endswith(
        f"| {found:.0f} | {verdict} |"
    )


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
