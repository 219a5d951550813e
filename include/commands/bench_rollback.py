"""`make bench-rollback`: how long a rollback takes under load; to docs/benchmarks/rollback.*.

A platform of its own brings two versions to production. Then, with Airflow and MLflow down, clients that
never pause send requests while `make rollback`'s command switches between the two, several times. Timed from
the start of the command's process.
"""

import argparse
import asyncio
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import cycle
from statistics import median

import httpx
from matplotlib.figure import Figure as Picture

from include.adapters.files import replacing
from include.commands import processes
from include.commands.benchmark_record import BENCHMARKS, Figure, write_record
from include.commands.demo import APPROVER, MODEL
from include.commands.environment import process_environment
from include.commands.platform import Platform, Replay, bring_to_production, champion_of, running
from include.commands.processes import refuse_second_start
from include.commands.progress import Progress
from include.commands.terminal import end_on_signals, run_command
from include.commands.traffic import entities_of
from include.config.settings import settings
from include.contracts.errors import PlatformError

LATER = timedelta(days=7)
"""By how much younger the second version's data is."""
SERVING = ("triton", "gateway")
CONNECTIONS = 16
_BEFORE_SECONDS, _AFTER_SECONDS = 2.0, 4.0


@dataclass(frozen=True)
class Answer:
    """One answer: when it came, seconds from the start of the command, and from which version."""

    seconds: float
    status: int
    version: str | None


@dataclass
class Load:
    """Requests that never pause, and what came back."""

    entity: str
    """Name of the entity's key."""
    began: float
    """When the command starts, on the monotonic clock."""
    answers: list[Answer] = field(default_factory=list)
    over: bool = False

    async def send(self, client: httpx.AsyncClient, entities: Sequence[int | str]) -> None:
        """Ask for one entity after the other until the load is over."""
        moment = (Replay().moment + LATER + timedelta(hours=12)).isoformat()
        for entity in cycle(entities):
            if self.over:
                return
            answer = await client.post(
                f"/v1/predict/{MODEL}",
                json={"entity": {self.entity: entity}},
                headers={"X-Event-Time": moment},
            )
            seconds = time.monotonic() - self.began
            self.answers.append(Answer(seconds, answer.status_code, answer.json().get("version")))


@dataclass(frozen=True)
class Round:
    """One rollback under load."""

    to: str
    command_seconds: float
    answers: tuple[Answer, ...]

    @property
    def last_old_seconds(self) -> float:
        """When the last answer of the version before came."""
        return max((item.seconds for item in self.answers if item.version != self.to), default=0.0)

    @property
    def failed(self) -> int:
        """How many requests were not answered well."""
        return sum(item.status != httpx.codes.OK for item in self.answers)


def main() -> None:
    """Measure, write the figures, the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6, help="how many rollbacks")
    arguments = parser.parse_args()
    run_command(lambda: record(arguments.rounds))


def record(rounds: int) -> None:
    """Bring two versions to production, roll back and forth, write down what it took.

    Raises:
        PlatformError: a step failed.
    """
    own = settings().model_copy(update={"home": settings().home / "bench-rollback", "ledger_url": ""})
    refuse_second_start(own)
    shutil.rmtree(own.home, ignore_errors=True)
    platform = Platform(own, MODEL, Progress(10))
    end_on_signals()
    with running(platform):
        versions = two_versions(platform)
    with serving_alone(platform), platform.progress.step("roll back under load"):
        measured = [asyncio.run(rolled_back(platform, versions[n % 2])) for n in range(rounds)]
    write_record("rollback", "Rollback under load", figures(measured), ("httpx", "tritonclient"))
    draw_picture(measured[-1])  # the first meets a cold gateway


@contextmanager
def serving_alone(platform: Platform) -> Iterator[None]:
    """Run Triton and the gateway for the length of a block: neither Airflow nor MLflow is up."""
    processes.start(platform.settings, SERVING)
    try:
        processes.wait_until_ready(platform.settings, SERVING, say=platform.progress.say)
        yield
    finally:
        processes.stop(platform.settings)


def two_versions(platform: Platform) -> tuple[str, str]:
    """Bring a version and then a younger one to production; return both, the older first."""
    first = Replay()
    bring_to_production(platform, first, APPROVER)
    older = champion(platform)
    later = Replay(first_day=first.as_of + timedelta(days=1), as_of=first.as_of + LATER)
    bring_to_production(platform, later, APPROVER)
    return older, champion(platform)


def champion(platform: Platform) -> str:
    """Return the version that serves.

    Raises:
        PlatformError: none does.
    """
    route = champion_of(platform.settings, MODEL)
    if route is None:
        raise PlatformError(f"nothing serves {MODEL}")
    return route.champion.version


async def rolled_back(platform: Platform, to: str) -> Round:
    """Roll back to a version under load."""
    entities = entities_of(platform.settings, platform.contract, Replay().as_of + LATER)
    load = Load(platform.contract.entity.name, time.monotonic() + _BEFORE_SECONDS)
    headers = {"Authorization": f"Bearer {platform.api_key()}"}
    async with (
        httpx.AsyncClient(
            base_url=platform.settings.gateway_url, headers=headers, trust_env=False, timeout=30.0
        ) as client,
        asyncio.TaskGroup() as clients,
    ):
        for number in range(CONNECTIONS):
            clients.create_task(load.send(client, entities[number::CONNECTIONS]))
        await asyncio.sleep(_BEFORE_SECONDS)
        await _command(platform, to)
        seconds = time.monotonic() - load.began
        await asyncio.sleep(_AFTER_SECONDS)
        load.over = True
    platform.progress.say(f"to {to}: {seconds:.2f} s, {len(load.answers)} answers around it")
    return Round(to, seconds, tuple(load.answers))


async def _command(platform: Platform, to: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "include.commands.rollback", MODEL, to, "benchmark"),
        env=process_environment(platform.settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise PlatformError(f"the rollback to {to} failed: {said.decode()}")


def figures(rounds: Sequence[Round]) -> dict[str, Figure]:
    """Return the figures of all rollbacks."""
    answers = [answer for each in rounds for answer in each.answers]
    span = sum(each.command_seconds + _BEFORE_SECONDS + _AFTER_SECONDS for each in rounds)
    return {
        "rollbacks": len(rounds),
        "connections": CONNECTIONS,
        "load_rps": len(answers) / span,
        "rollback_seconds": median(each.last_old_seconds for each in rounds),
        "rollback_slowest_seconds": max(each.last_old_seconds for each in rounds),
        "rollback_command_seconds": median(each.command_seconds for each in rounds),
        "rollback_failed_requests": sum(each.failed for each in rounds),
    }


def draw_picture(measured: Round) -> None:
    """Draw the answers of each version over time."""
    picture = Picture(figsize=(9, 3.6), layout="constrained")
    axes = picture.subplots()
    old = [item.seconds for item in measured.answers if item.version != measured.to]
    new = [item.seconds for item in measured.answers if item.version == measured.to]
    axes.hist([old, new], bins=60, stacked=True, label=["the version before", "rolled back to"])
    axes.axvline(0.0, color="black", linestyle=":", label="the command starts")
    axes.axvline(measured.command_seconds, color="black", linestyle="--", label="the command ends")
    axes.set(xlabel="seconds", ylabel="answers", title="A rollback under load")
    axes.legend()
    with replacing(BENCHMARKS / "rollback.png") as path:
        picture.savefig(path, format="png", dpi=120)


if __name__ == "__main__":
    main()
