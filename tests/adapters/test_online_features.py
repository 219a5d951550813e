import os
import subprocess

import pytest
from feast import FeatureView, FileSource

from include.adapters.online_features import OnlineFeatures
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.errors import ServingError
from include.contracts.routes import EntityKey, EntityType

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


KEY = EntityKey(name="customer_id", type=EntityType.INT64)


@pytest.mark.parametrize("content", [None, b"\xff" * 64])
def test_a_registry_that_cannot_be_read_is_an_error_of_serving(tmp_path, content):
    """Missing or noise: the gateway is told in its own terms."""
    settings = Settings(home=tmp_path)
    if content is not None:
        settings.feature_registry.parent.mkdir(parents=True)
        settings.feature_registry.write_bytes(content)
    with pytest.raises(ServingError, match="registry"):
        OnlineFeatures(settings).read(KEY, [1], {"spending": ["total"]})


def test_a_store_that_is_no_database_is_an_error_of_serving(tmp_path):
    """Noise in the place of the store: the view is named."""
    settings = Settings(home=tmp_path)
    settings.online_store.parent.mkdir(parents=True)
    settings.online_store.write_bytes(b"noise " * 1000)
    reader = OnlineFeatures(settings)
    reader._views["spending"] = FeatureView(name="spending", entities=[], source=FileSource(path="none"))
    with pytest.raises(ServingError, match="'spending' cannot be read"):
        reader.read(KEY, [1], {"spending": ["total"]})
