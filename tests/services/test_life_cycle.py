"""The demo's life cycle in the shape of production: every state on a server, tasks behind a queue."""

import re
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.online_backend import redis_client
from include.adapters.tracking import Tracking
from include.commands import processes
from include.commands.demo import trace_all
from include.commands.platform import Platform, Replay, bring_to_production
from include.commands.processes import log_path
from include.commands.progress import Progress
from include.commands.stack import read_record, survivors
from include.commands.traffic import replay
from include.config.settings import AirflowAuth, Settings
from tests.buckets import keys_of, new_bucket
from tests.databases import new_database
from tests.e2e.conftest import free_ports
from tests.servers import running_redis

pytestmark = pytest.mark.services
REQUESTS = 300


@pytest.fixture(scope="module")
def bucket(s3: dict[str, str]) -> str:
    """An empty bucket."""
    return new_bucket()


@pytest.fixture(scope="module")
def platform(postgres: str, bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform on PostgreSQL, Redis, S3 and Celery, users in FAB, churn in production."""
    ports = free_ports(5)
    with running_redis() as redis:
        server = redis.removesuffix("/0")
        settings = Settings(
            home=tmp_path_factory.mktemp("platform") / "var",
            airflow_port=ports[0],
            mlflow_port=ports[1],
            gateway_port=ports[2],
            triton_grpc_port=ports[3],
            triton_metrics_port=ports[4],
            ledger_url=new_database(postgres),
            airflow_database_url=new_database(postgres),
            mlflow_database_url=new_database(postgres),
            online_store_url=f"{server}/0",
            coordination_url=f"{server}/1",
            celery_broker_url=f"{server}/2",
            artefacts_url=f"s3://{bucket}/artefacts",
            compacted_url=f"s3://{bucket}/predictions",
            airflow_auth=AirflowAuth.FAB,
            replay=True,
        )
        platform = Platform(settings, "churn", Progress(5))
        try:
            with platform.progress.step("start every process"):
                platform.start()
            stack = read_record(settings)
            bring_to_production(platform, Replay(), "approver")
            yield platform
        finally:
            processes.stop(settings)
        assert stack is not None
        assert [] == survivors(stack)


def test_the_life_cycle_ends_with_predictions_that_can_be_traced(platform: Platform) -> None:
    """Every request is answered by the released version, every row traced, the chain whole."""
    traffic = replay(platform, Replay().as_of, REQUESTS, 0.0)
    assert {200: REQUESTS} == traffic.statuses
    assert REQUESTS == trace_all(platform)
    ledger = Ledger(platform.settings.ledger_uri)
    assert len(ledger.events(limit=1_000)) == ledger.verify()
    ledger.close()


def test_every_state_lies_on_its_server(platform: Platform, bucket: str) -> None:
    """Nothing of it is kept in a file of this machine besides."""
    settings = platform.settings
    keys = keys_of(bucket)
    for place in ("artefacts/packages/churn/", "artefacts/snapshots/churn/", "artefacts/mlflow/"):
        assert any(key.startswith(place) for key in keys), place
    for path in (settings.artefacts_folder, settings.online_store, settings.airflow_home / "airflow.db"):
        assert not path.exists()
    assert [] == [path for path in settings.mlflow_folder.rglob("*") if path.is_file()]
    with closing(redis_client(settings)) as client:
        assert client.dbsize() > 1_000
    assert "1.0.0" == champion_in_mlflow(settings)


def champion_in_mlflow(settings: Settings) -> str | None:
    """Return whom MLflow's alias names, once the reconciler has come by, which looks every 15 seconds."""
    tracking, deadline = Tracking(settings), time.monotonic() + 120
    while (found := tracking.alias("churn", "champion")) is None and time.monotonic() < deadline:
        time.sleep(1)
    return found


def test_tasks_ran_in_the_worker(platform: Platform) -> None:
    """Celery's worker took them from the queue."""
    log = log_path(platform.settings).read_text()
    assert len(re.findall(r"worker\.1 .*succeeded in", log)) >= 10
