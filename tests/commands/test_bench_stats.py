"""Tests of the statistics benchmark and of how benchmarks are kept."""

import json
import platform
from importlib.metadata import version

import numpy as np
import pytest

from include.commands.bench_stats import record
from include.commands.benchmark_record import write_record
from include.stats.sequential import SPENDINGS


def test_the_record_is_flat_and_says_where_it_comes_from(tmp_path):
    """Figures first, then machine, versions and commit; the table shows the same."""
    path = write_record("made_up", "Made up", {"answers_per_second": 41.5}, ("numpy",), tmp_path / "new")
    kept = json.loads(path.read_text())

    assert 41.5 == kept["answers_per_second"]
    assert (platform.python_version(), version("numpy")) == (kept["python_version"], kept["numpy_version"])
    assert 40 == len(kept["commit"])
    assert not any(isinstance(value, dict | list) for value in kept.values())
    assert "| answers_per_second | 41.5 |" in path.with_suffix(".md").read_text()


def test_a_short_run_measures_what_is_promised(tmp_path, capsys):
    """A few thousand runs: levels within simulation error, the naive analyses far off, a picture drawn."""
    record(3_000, 100, tmp_path)
    kept = json.loads((tmp_path / "stats.json").read_text())
    errors = [kept[f"type_one_error_{spending}"] for spending in SPENDINGS]

    assert pytest.approx([0.05] * 5, abs=4 * np.sqrt(0.05 * 0.95 / 3_000)) == errors
    assert kept["type_one_error_naive_peeking"] > 0.2
    assert pytest.approx(0.8, abs=0.04) == kept["power_pocock"]
    assert kept["type_one_error_request_level"] > 0.2
    assert (tmp_path / "stats.png").read_bytes().startswith(b"\x89PNG")
    assert "written" in capsys.readouterr().out
