"""Gateways in processes of their own, and callers that never pause."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.online_rows import KeyBytes, pack, table_of
from include.commands.environment import settings_environment
from include.config.settings import REPOSITORY_ROOT, Settings
from include.contracts.keys import Verb
from include.contracts.predictions import FeatureValue
from include.contracts.routes import EntityKey

START_SECONDS = 60.0


@dataclass
class GatewayProcess:
    """A running gateway."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_for(self, line: str) -> None:
        """Wait until its log says something."""
        deadline = time.monotonic() + START_SECONDS
        while line not in self.log.read_text() and self.process.poll() is None:
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        if line not in self.log.read_text():
            pytest.fail(f"the gateway did not say {line!r}; it said:\n{self.log.read_text()}")

    def end(self) -> int:
        """Send SIGTERM and return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@contextmanager
def running_gateway(settings: Settings, name: str) -> Iterator[GatewayProcess]:
    """Start a gateway that shares its port, wait until it listens, and end it afterwards if it still runs."""
    environment = {
        **os.environ,
        **settings_environment(settings),
        "NINETY_GATEWAY_SHARED_PORT": "true",
    }
    log = settings.home / f"{name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.gateway"],
            cwd=REPOSITORY_ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )
    gateway = GatewayProcess(process, log)
    try:
        gateway.wait_for("gateway listens")
        yield gateway
    finally:
        process.kill()
        process.wait()


def write_online(
    settings: Settings, view: str, key: EntityKey, rows: dict[int, dict[str, FeatureValue]]
) -> None:
    """Bring a view's rows online, as of now."""
    settings.online_store.parent.mkdir(parents=True, exist_ok=True)
    keys, now = KeyBytes(key), int(time.time())
    connection = sqlite3.connect(settings.online_store)
    with connection:
        connection.execute(
            f'CREATE TABLE "{table_of(view)}" '
            "(entity_key BLOB PRIMARY KEY, event_ts INTEGER NOT NULL, packed BLOB NOT NULL)"
        )
        connection.executemany(
            f'INSERT INTO "{table_of(view)}" VALUES (?, ?, ?)',  # noqa: S608 - the test's own name
            [(keys.of(value), now, pack(features)) for value, features in rows.items()],
        )
    connection.close()


@dataclass
class Load:
    """Callers with kept connections, at a rate together, and what they were answered."""

    url: str
    key: str
    entities: tuple[int, ...]
    per_second: float = 100.0
    callers: int = 8
    answers: list[dict[str, object]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    over: Event = field(default_factory=Event)

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Send from another thread until the block ends."""
        thread = Thread(target=lambda: asyncio.run(self._send()))
        thread.start()
        try:
            yield self
        finally:
            self.over.set()
            thread.join()

    def more(self, count: int) -> None:
        """Wait until that many requests more were answered, or failed."""
        wanted = len(self.answers) + len(self.failures) + count
        deadline = time.monotonic() + START_SECONDS
        while len(self.answers) + len(self.failures) < wanted and time.monotonic() < deadline:
            time.sleep(0.02)

    def answered_again(self, count: int) -> None:
        """Wait until that many requests more were answered well."""
        wanted = len(self.answers) + count
        deadline = time.monotonic() + START_SECONDS
        while len(self.answers) < wanted:
            if time.monotonic() > deadline:
                pytest.fail(
                    f"{wanted - len(self.answers)} of {count} answers are missing: {self.failures[-3:]}"
                )
            time.sleep(0.005)

    def answered_by(self, version: str) -> None:
        """Wait until a version answers."""
        deadline = time.monotonic() + START_SECONDS
        while not self.answers or self.answers[-1]["version"] != version:
            if time.monotonic() > deadline:
                pytest.fail(f"{version} did not answer within {START_SECONDS:g} s")
            time.sleep(0.02)

    async def _send(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self.callers):
                group.create_task(self._call())

    async def _call(self) -> None:
        headers = {"Authorization": f"Bearer {self.key}"}
        pause = self.callers / self.per_second
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=10) as client:
            for entity in cycle(self.entities):
                if self.over.is_set():
                    return
                began = time.monotonic()
                await self._ask(client, entity)
                await asyncio.sleep(max(0.0, pause - (time.monotonic() - began)))

    async def _ask(self, client: httpx.AsyncClient, entity: int) -> None:
        began = time.monotonic()
        try:
            response = await client.post("/v1/predict/churn", json={"entity": {"customer_id": entity}})
        except httpx.HTTPError as error:
            self.failures.append(f"{error!r} {time.strftime('%X')} after {time.monotonic() - began:.3f} s")
            return
        answer = response.json()
        if response.status_code == httpx.codes.OK and answer["fallback"] is None:
            self.answers.append(answer)
        else:
            self.failures.append(f"{response.status_code} {response.text}")


def issue_key(ledger: Ledger) -> str:
    """Return a key for everything."""
    return ledger.issue_key("load", ("*",), tuple(Verb), "system")[1]
