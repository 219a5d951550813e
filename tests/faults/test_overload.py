"""More asked of a gateway than it can bear, over more connections than its queue holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from include.adapters.prediction_log import read
from include.commands.bench_gateway.closed_loop import Answers, Target, write_requests
from include.commands.bench_gateway.open_loop import compiled, open_loop
from include.config.settings import Settings
from include.contracts.predictions import Status
from tests.faults.gateways import GatewayProcess, running_gateway
from tests.faults.served import served
from tests.servers import needed

pytestmark = pytest.mark.faults

QUEUE = 64
CONNECTIONS = 32 * QUEUE
RATE = 20_000.0
SECONDS = 4.0
MEBIBYTE = 2**20
PAGE = 4096


def resident(gateway: GatewayProcess) -> float:
    """Return its memory in MiB."""
    return int(Path(f"/proc/{gateway.process.pid}/statm").read_text().split()[1]) * PAGE / MEBIBYTE


@contextmanager
def checking(settings: Settings) -> Iterator[list[int]]:
    """Ask whether it is live, over a connection of its own each time, until the block ends; give statuses."""
    over, found = Event(), []

    def check() -> None:
        while not over.wait(0.05):
            live = httpx.get(f"{settings.gateway_url}/v2/health/live", timeout=5, trust_env=False)
            found.append(live.status_code)

    thread = Thread(target=check)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def flood(program: Path, target: Target) -> Answers:
    """Ask for far more than can be answered; every connection is open before."""
    return open_loop(program, target, RATE, SECONDS, connections=CONNECTIONS, warm=True)


def test_what_is_too_much_is_refused_and_the_rest_is_answered(tmp_path: Path) -> None:
    """An answer that is logged, or 503; refusing leaves time to answer. It stays live, its memory flat."""
    needed("gcc", "build-essential")
    with served(tmp_path, queue_entities=QUEUE) as (settings, load):
        bodies = [b'{"entity": {"customer_id": %d}}' % key for key in load.entities]
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {load.key}"}
        target = Target(
            f"{settings.gateway_url}/v1/predict/churn",
            write_requests(tmp_path / "requests", bodies),
            '"fallback":null',
            headers,
        )
        program = compiled(tmp_path)
        with running_gateway(settings, "flooded") as gateway, checking(settings) as live:
            first = flood(program, target)
            before = resident(gateway)
            again = flood(program, target)
            after = resident(gateway)
            one = httpx.post(target.url, content=bodies[0], headers=headers)

    assert [200] * len(live) == live
    assert len(live) > 10
    for found in (first, again):
        assert 0 < found.refused < 10 * found.right
        assert found.lost == found.unsent
    assert 200 == one.status_code
    assert after < before + 5
    answered = sum(row.status is Status.OK for row in read(settings.predictions_folder))
    assert answered >= first.right + again.right + 1
