"""The gateway killed in the middle of requests: a repeat is answered as it was, and logged once."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.prediction_log import read
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.keys import Verb
from tests.faults.gateway_process import CUSTOMERS
from tests.serving.gateway.conftest import free_port, route, serving_triton, wait_for

CALLERS = 8
ROUNDS = 5
ANSWERS_BEFORE_THE_KILL = 150
MAX_BATCH = 4
"""Small, so that requests of several entities are cut off between two batches."""


@dataclass
class Platform:
    """What a killed gateway leaves and finds again."""

    home: Path
    secret: str
    asked: dict[str, Any] = field(default_factory=dict)
    """Bodies by request id."""
    answered: dict[str, bytes] = field(default_factory=dict)
    """What callers were told."""

    @contextmanager
    def gateway(self) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
        """Run the gateway; a caller of it waits until it answers."""
        port = free_port()
        variables = {
            "NINETY_HOME": str(self.home),
            "NINETY_GATEWAY_PORT": str(port),
            "NINETY_MAX_BATCH": str(MAX_BATCH),
            "PYTHONPATH": str(REPOSITORY_ROOT),
        }
        command = [sys.executable, "-m", "tests.faults.gateway_process"]
        process = subprocess.Popen(command, env={**os.environ, **variables}, cwd=REPOSITORY_ROOT)
        headers = {"Authorization": f"Bearer {self.secret}"}
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as client:
                wait_for(lambda: answers(client), 60)
                yield process, client
        finally:
            process.kill()
            process.wait()

    def ask(self, client: httpx.Client, request_id: str) -> None:
        """Ask what belongs to an id, and hold the answer against what was told before."""
        answer = client.post("/v1/predict/churn", json=self.asked[request_id])
        assert 200 == answer.status_code, answer.text
        assert self.answered.setdefault(request_id, answer.content) == answer.content


def answers(client: httpx.Client) -> bool:
    """Say whether a gateway answers."""
    try:
        return client.get("/v2/health/live").status_code == 200
    except httpx.TransportError:
        return False


def body(number: int, request_id: str) -> dict[str, Any]:
    """Return the body of a request: of one entity, or of up to a batch of them."""
    keys = [{"customer_id": CUSTOMERS[(number + n) % len(CUSTOMERS)]} for n in range(number % MAX_BATCH + 1)]
    return {"request_id": request_id, **({"entities": keys} if len(keys) > 1 else {"entity": keys[0]})}


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """Make a ledger with a route and a key, and a Triton that outlives every gateway."""
    settings = Settings(home=tmp_path)
    upgrade(settings.ledger_uri)
    ledger = Ledger(settings.ledger_uri)
    with serving_triton() as (_, endpoint):
        ledger.change_route(RouteUpdate(route(endpoint), 0), actor="ada", reason="start")
        _, secret = ledger.issue_key("caller", ["churn"], [Verb.PREDICT], "ada")
        ledger.close()
        yield Platform(tmp_path, secret)


def ask_until_killed(platform: Platform, part: str) -> None:
    """Ask on and on from several callers, and kill the gateway while all of them are at it."""
    enough = Event()

    def call(caller: int, client: httpx.Client) -> None:
        for number in range(1_000_000):
            request_id = f"{part}-{caller}-{number}"
            platform.asked[request_id] = body(number + caller, request_id)
            try:
                platform.ask(client, request_id)
            except httpx.TransportError:
                return
            if len(platform.answered) >= wanted:
                enough.set()

    wanted = len(platform.answered) + ANSWERS_BEFORE_THE_KILL
    with platform.gateway() as (process, client), ThreadPoolExecutor(CALLERS) as pool:
        calls = [pool.submit(call, caller, client) for caller in range(CALLERS)]
        assert enough.wait(60)
        process.send_signal(signal.SIGKILL)
        for each in calls:
            each.result()


@pytest.mark.faults
def test_a_killed_gateway_answers_repeats_from_its_log(platform):
    """Killed over and over under load: every id has one answer, the logged one, and one row an entity."""
    for number in range(ROUNDS):
        ask_until_killed(platform, f"round {number}")
        with platform.gateway() as (_, client), ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(lambda request_id: platform.ask(client, request_id), list(platform.asked)))

    rows = list(read(platform.home / "predictions"))
    entities = {(row.request_id, row.request_index) for row in rows}
    assert 1 == max(Counter((row.request_id, row.request_index) for row in rows).values())
    assert {
        (request_id, place)
        for request_id, asked in platform.asked.items()
        for place in range(len(asked.get("entities", [None])))
    } == entities
    told = b"".join(platform.answered.values()).decode()
    assert [] == [row.prediction_id for row in rows if row.prediction_id not in told]
