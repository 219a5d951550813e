"""Replayed traffic: a day's entities ask the gateway at moments of that day."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock

import httpx
import pyarrow.parquet as pq

from include.commands.platform import Platform
from include.config.settings import Settings
from include.contracts.errors import PlatformError
from include.contracts.model import ModelContract
from include.features.views import offline_folder

_OPENING = clock(8, 0)
_OPEN_SECONDS = 14 * 3600
_REPORT_SECONDS = 10.0
_CONCURRENT = 16


@dataclass(frozen=True)
class Traffic:
    """What was sent and what came back."""

    requests: int
    statuses: dict[int, int]
    versions: dict[str, int]
    seconds: float
    median_ms: float
    p99_ms: float
    last_entity: dict[str, int | str]
    last_prediction: dict[str, object]
    """The last good answer, as the gateway gave it."""

    @property
    def ok(self) -> int:
        """How many answers were good."""
        return self.statuses.get(httpx.codes.OK, 0)


@dataclass(frozen=True)
class _Answer:
    status: int
    seconds: float
    body: dict[str, object]


def entities_of(settings: Settings, contract: ModelContract, day: date) -> list[int | str]:
    """Return the entities that have features of a day, in order."""
    view = next(iter(contract.signature.views))
    path = offline_folder(settings, view) / f"{day.isoformat()}.parquet"
    column = pq.read_table(path, columns=[contract.entity.name])
    return sorted(column[contract.entity.name].to_pylist())


def replay(platform: Platform, day: date, requests: int, seconds: float) -> Traffic:
    """Send a day's entities, evenly over its opening hours in event time and over `seconds` in ours.

    Args:
        platform: running, with the model in production.
        day: whose entities, and whose event times.
        requests: how many; entities repeat when there are fewer.
        seconds: how long it should take; 0 means as fast as 16 connections go.
    """
    contract = platform.contract
    entities = entities_of(platform.settings, contract, day)
    named = [{contract.entity.name: entities[number % len(entities)]} for number in range(requests)]
    started = time.monotonic()
    answers = asyncio.run(_send_all(platform, day, named, seconds))
    return _summary(answers, named[-1], time.monotonic() - started)


async def _send_all(
    platform: Platform, day: date, entities: list[dict[str, int | str]], seconds: float
) -> list[_Answer]:
    opening = datetime.combine(day, _OPENING, UTC)
    places = asyncio.Semaphore(_CONCURRENT)
    started = reported = time.monotonic()
    async with _client(platform) as client:
        sent = []
        for number, entity in enumerate(entities):
            await asyncio.sleep(max(0.0, started + seconds * number / len(entities) - time.monotonic()))
            moment = opening + timedelta(seconds=_OPEN_SECONDS * number / len(entities))
            sent.append(asyncio.create_task(_send(client, places, platform.model, entity, moment)))
            if time.monotonic() - reported > _REPORT_SECONDS:
                reported = time.monotonic()
                platform.progress.say(f"{number} of {len(entities)} requests sent")
        return await asyncio.gather(*sent)


def _client(platform: Platform) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {platform.api_key()}"}
    return httpx.AsyncClient(
        base_url=platform.settings.gateway_url, headers=headers, trust_env=False, timeout=10.0
    )


async def _send(
    client: httpx.AsyncClient,
    places: asyncio.Semaphore,
    model: str,
    entity: dict[str, int | str],
    moment: datetime,
) -> _Answer:
    async with places:
        started = time.monotonic()
        answer = await client.post(
            f"/v1/predict/{model}", json={"entity": entity}, headers={"X-Event-Time": moment.isoformat()}
        )
        return _Answer(answer.status_code, time.monotonic() - started, answer.json())


def _summary(answers: list[_Answer], last_entity: dict[str, int | str], seconds: float) -> Traffic:
    durations = sorted(answer.seconds for answer in answers)
    good = [answer.body for answer in answers if answer.status == httpx.codes.OK]
    if not good:
        raise PlatformError(f"the gateway answered none of {len(answers)} requests well: {answers[-1].body}")
    return Traffic(
        requests=len(answers),
        statuses=dict(Counter(answer.status for answer in answers)),
        versions=dict(Counter(str(body["version"]) for body in good)),
        seconds=seconds,
        median_ms=1000 * durations[len(durations) // 2],
        p99_ms=1000 * durations[min(len(durations) - 1, len(durations) * 99 // 100)],
        last_entity=last_entity,
        last_prediction=good[-1],
    )
