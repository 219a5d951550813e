import os
import subprocess

import pytest

from include.config.settings import REPOSITORY_ROOT

GATEWAY_PYTHON = REPOSITORY_ROOT / ".venv-gateway" / "bin" / "python"
BANNED = ("torch", "duckdb", "airflow", "mlflow", "include.features")


@pytest.mark.skipif(not GATEWAY_PYTHON.exists(), reason="the gateway's environment is not set up")
def test_imports_in_the_gateways_environment():
    """The reader imports where the gateway runs, and brings nothing heavy or of the stages with it."""
    code = (
        "import sys, include.adapters.online_features; "
        f"print([name for name in {BANNED!r} if name in sys.modules])"
    )
    run = subprocess.run(
        [GATEWAY_PYTHON, "-c", code],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == run.returncode, run.stderr
    assert "[]" == run.stdout.strip()
