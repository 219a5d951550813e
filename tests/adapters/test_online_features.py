import asyncio
import os
import subprocess

import pytest
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey as EntityKeyProto
from feast.protos.feast.types.Value_pb2 import Value
from hypothesis import given
from hypothesis import strategies as st

from include.adapters.online_features import OnlineFeatures
from include.adapters.online_rows import KeyBytes
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.errors import ServingError
from include.contracts.routes import EntityKey, EntityType

GATEWAY_PYTHON = REPOSITORY_ROOT / ".venv-gateway" / "bin" / "python"
BANNED = ("torch", "duckdb", "airflow", "mlflow", "feast", "pandas", "include.features")


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


def test_a_store_that_is_not_there_is_an_error_of_serving(tmp_path):
    """Nothing was ever materialised: the gateway is told in its own terms, with the view's name."""
    with pytest.raises(ServingError, match=r"spending cannot be read .* was it materialised"):
        OnlineFeatures(Settings(home=tmp_path)).read(KEY, [1], {"spending": ["total"]})


def test_a_store_that_is_no_database_is_an_error_of_serving(tmp_path):
    """Noise in the place of the store: the view is named."""
    settings = Settings(home=tmp_path)
    settings.online_store.parent.mkdir(parents=True)
    settings.online_store.write_bytes(b"noise " * 1000)
    with pytest.raises(ServingError, match="spending cannot be read"):
        OnlineFeatures(settings).read(KEY, [1], {"spending": ["total"]})


def test_a_silent_store_is_left_at_the_gateways_deadline(tmp_path):
    """Who accepts and says nothing costs a batch the deadline, not the ten seconds others may wait."""

    async def ask():
        ended = asyncio.Event()

        async def say_nothing(reader, writer):
            while await reader.read(100):
                pass
            writer.close()
            ended.set()

        server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        store = OnlineFeatures(Settings(home=tmp_path, online_store_url=url, deadline_seconds=0.2))
        with pytest.raises(ServingError, match=r"spending cannot be read .* no answer within 0.2 s"):
            await store.fetch(KEY, [1], {"spending": ["total"]})
        await ended.wait()
        await store.close()
        server.close()

    asyncio.run(ask())


@given(
    name=st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
    value=st.one_of(st.integers(-(2**63), 2**63 - 1), st.text(min_size=1, max_size=40)),
)
def test_keys_are_feasts(name, value):
    """Feast serialises the same key to the same bytes."""
    is_integer = isinstance(value, int)
    typed = Value(int64_val=value) if is_integer else Value(string_val=value)
    expected = serialize_entity_key(EntityKeyProto(join_keys=[name], entity_values=[typed]), 3)
    key = EntityKey(name=name, type=EntityType.INT64 if is_integer else EntityType.STRING)
    assert expected == KeyBytes(key).of(value)
