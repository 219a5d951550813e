"""One short part of the benchmark, with everything real."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from include.config.settings import REPOSITORY_ROOT

SECONDS = 300


@pytest.mark.slow
def test_full_duty_is_measured_on_a_stack_of_its_own(tmp_path: Path) -> None:
    """Features, versions, Triton, gateway and load: right answers come back, none fails, nothing stays."""
    part = ["--only", "full", "--runs", "1", "--seconds", "1", "--connections", "1", "64", "--dry"]
    done = subprocess.run(
        [sys.executable, "-m", "include.commands.bench_gateway", *part],
        env={**os.environ, "NINETY_HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY_ROOT)},
        cwd=REPOSITORY_ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = dict(re.findall(r"\s(\w+) ([\d.e+-]+)$", done.stdout, re.MULTILINE))
    assert float(found["full_duty_rps"]) > 0
    assert float(found["triton_http_json_failed"]) == 0
    assert float(found["full_duty_over_triton_http"]) > 0
    assert float(found["single_p50_ms"]) > 0
    assert not (tmp_path / "bench-gateway" / "run" / "stack.json").exists()
