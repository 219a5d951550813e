"""Two gateways behind a load balancer, in processes of their own; one is killed, one answers wrongly."""

import contextlib
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from include.adapters.prediction_log import read, recover
from include.commands.services import free_port, running_server
from include.config.settings import REPOSITORY_ROOT, Settings
from tests.databases import new_ledger
from tests.faults.gateways import Load, running_gateway
from tests.faults.served import served
from tests.servers import needed, running_redis
from tests.serving.gateway.golden import GOLDEN, publish_golden

pytestmark = pytest.mark.services
WRONG = GOLDEN.model_copy(
    update={"cases": tuple(case.model_copy(update={"outputs": (0.5,)}) for case in GOLDEN.cases)}
)
CONFIGURATION = REPOSITORY_ROOT / "docker" / "haproxy" / "haproxy.cfg"


@contextmanager
def balanced(folder: Path, first: Settings, second: Settings) -> Iterator[str]:
    """Run the balancer that `docker/` configures before two gateways; yield its URL."""
    program, port = needed("haproxy", "haproxy"), free_port()
    environment = {
        "BALANCER_BIND": f"127.0.0.1:{port}",
        "GATEWAY_ONE": f"127.0.0.1:{first.gateway_port}",
        "GATEWAY_TWO": f"127.0.0.1:{second.gateway_port}",
    }
    command = [program, "-db", "-f", str(CONFIGURATION)]
    with running_server(command, folder / "haproxy.log", port, environment=environment):
        yield f"http://127.0.0.1:{port}"


def answered(settings: Settings) -> int:
    """Return how many predictions a gateway answered since it started."""
    text = httpx.get(f"{settings.gateway_url}/metrics", trust_env=False).text
    lines = [line for line in text.splitlines() if line.startswith("gateway_prediction_seconds_count")]
    return sum(int(float(line.rpartition(" ")[2])) for line in lines)


@pytest.fixture
def platform(tmp_path: Path, postgres: str) -> Iterator[tuple[Settings, Settings, Load]]:
    """Settings of two gateways that share ledger, features, log and Redis, and callers of the first."""
    with running_redis() as redis:
        shared = {"ledger_url": new_ledger(postgres), "coordination_url": redis}
        with served(tmp_path, per_second=400, **shared) as (settings, load):
            yield settings, settings.model_copy(update={"gateway_port": free_port()}), load


def test_no_request_fails_when_a_gateway_is_killed(tmp_path, platform):
    """Killed under load, started again, then the other one: all is answered, each answer logged once."""
    first, second, load = platform
    with contextlib.ExitStack() as gateways:
        one = gateways.enter_context(running_gateway(first, "one"))
        two = gateways.enter_context(running_gateway(second, "two"))
        load.url = gateways.enter_context(balanced(tmp_path, first, second))
        with load.running():
            load.answered_again(400)
            assert min(answered(first), answered(second)) > 50
            one.process.send_signal(signal.SIGKILL)
            load.answered_again(400)
            gateways.enter_context(running_gateway(first, "again"))
            while answered(first) < 50:
                load.answered_again(10)
            two.process.send_signal(signal.SIGKILL)
            load.answered_again(400)

    assert [] == load.failures
    recover(first.predictions_folder)
    rows = Counter(row.prediction_id for row in read(first.predictions_folder))
    told = [answer["prediction_id"] for answer in load.answers]
    assert dict.fromkeys(told, 1) == {name: rows[name] for name in told}


def test_a_gateway_that_answers_wrongly_gets_no_traffic(tmp_path, postgres):
    """Its golden predictions do not come out right: it is never asked, the other one answers everything."""
    loads, gateways = [], []
    with contextlib.ExitStack() as stack:
        for name, golden in (("right", GOLDEN), ("wrong", WRONG)):
            artefact = publish_golden(tmp_path / name / "artefacts", golden)
            options = {"ledger_url": new_ledger(postgres), "artefact_sha256": artefact}
            settings, load = stack.enter_context(served(tmp_path / name, per_second=400, **options))
            stack.enter_context(running_gateway(settings, name))
            gateways.append(settings)
            loads.append(load)
        right, wrong = gateways
        loads[0].url = stack.enter_context(balanced(tmp_path, right, wrong))
        assert (200, 503) == tuple(readiness(settings).status_code for settings in gateways)
        assert "gives wrong golden predictions" in readiness(wrong).text
        with loads[0].running():
            loads[0].answered_again(300)
        assert ([], 0) == (loads[0].failures, answered(wrong))


def readiness(settings: Settings) -> httpx.Response:
    """Ask a gateway whether it is ready."""
    return httpx.get(f"{settings.gateway_url}/v2/health/ready", trust_env=False)


def test_metrics_are_not_for_callers(tmp_path, platform):
    """The balancer shows predictions, and keeps what Prometheus reads to the inside."""
    first, second, _ = platform
    with running_gateway(first, "one"), balanced(tmp_path, first, second) as url:
        assert 404 == httpx.get(f"{url}/metrics").status_code
        assert 200 == httpx.get(f"{url}/v2/health/live").status_code
