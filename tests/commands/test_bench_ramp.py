"""The ramp's Monte Carlo, short: what docs/benchmarks/ramp.md publishes of a thousand ramps."""

import json

from include.commands.bench_ramp import record


def test_ramps_keep_what_they_promise(tmp_path, capsys):
    """Harmless versions go through, doubled error ratios go back early; naive looks and naive units err."""
    record(1_000, 60, tmp_path)
    kept = json.loads((tmp_path / "ramp.json").read_text())

    assert kept["harmless_rolled_back_ratio"] <= 0.01
    assert kept["harmless_promoted_ratio"] >= 0.98
    assert kept["doubled_rolled_back_by_25_percent_ratio"] >= 0.99
    assert kept["harmless_rolled_back_by_naive_looks_ratio"] > 0.1
    assert kept["clustered_harmless_rolled_back_ratio"] <= 0.01
    assert kept["clustered_rolled_back_if_requests_were_independent_ratio"] > 0.1
    assert (tmp_path / "ramp.png").read_bytes().startswith(b"\x89PNG")
    assert "written" in capsys.readouterr().out
