"""Closed loop: wrk keeps so many requests in flight, each drawn at random, and counts right answers only."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from include.adapters.files import write_atomically
from include.commands.services import find_server
from include.contracts.errors import PlatformError

SCRIPT = Path(__file__).with_name("draw.lua")
_SIGN = "RESULT "
_TIMEOUT = "10s"
_START_SECONDS = 20.0
_LAST_CHARACTERS = 2000


@dataclass(frozen=True)
class Target:
    """What requests are sent to, and how a right answer is known."""

    url: str
    requests: Path
    """File of the requests' bodies, as `write_requests` leaves it."""
    right: str
    """Text that an answer holds if it is right."""
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answers:
    """What came back in one run; latencies in milliseconds."""

    right: int
    answers: int
    lost: int
    seconds: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    refused: int = 0
    """Answers with 503; told by the open loop alone, as is what follows."""
    unsent: int = 0
    """Of those lost, what was never sent: no connection was free."""
    served_p99_ms: float = 0.0
    """Of right answers, from when they were sent, not from when they were due."""

    @property
    def rps(self) -> float:
        """Right answers a second."""
        return self.right / self.seconds

    @property
    def failed(self) -> int:
        """Answers that were not right, and requests without one."""
        return self.answers - self.right + self.lost


def write_requests(path: Path, bodies: Sequence[bytes]) -> Path:
    """Write requests' bodies one after the other, each behind its length; return the file."""
    write_atomically(path, b"".join(b"%d\n%b" % (len(body), body) for body in bodies))
    return path


def closed_loop(
    target: Target, connections: int, seconds: float, *, seed: int = 1, install: bool = False
) -> Answers:
    """Send requests over so many connections, each waiting for its answer.

    Raises:
        PlatformError: wrk is not installed, or failed.
    """
    command = [find_server("wrk", "wrk", install=install), "--threads", "1", "--latency"]
    command += ["--connections", str(connections), "--duration", f"{seconds:.0f}s", "--timeout", _TIMEOUT]
    command += ["--script", str(SCRIPT), target.url, "--", str(seed), str(target.requests), target.right]
    command += [word for header in target.headers.items() for word in header]
    done = subprocess.run(  # noqa: S603 - own arguments
        command, capture_output=True, text=True, check=False, timeout=seconds + _START_SECONDS
    )
    if done.returncode != 0 or _SIGN not in done.stdout:
        raise PlatformError(f"wrk failed: {(done.stdout + done.stderr)[-_LAST_CHARACTERS:]}")
    return read_answers(done.stdout)


def read_answers(output: str) -> Answers:
    """Return what a generator's line of results says.

    Raises:
        PlatformError: there is no such line.
    """
    lines = [line for line in output.splitlines() if line.startswith(_SIGN)]
    if not lines:
        raise PlatformError(f"the load generator gave no result: {output[-_LAST_CHARACTERS:]}")
    told = json.loads(lines[-1].removeprefix(_SIGN))
    return Answers(
        right=told["right"],
        answers=told["answers"],
        lost=told["lost"],
        seconds=told["seconds"],
        **{f"{name}_ms": told[name] / 1000 for name in ("p50", "p99", "p999", "max")},
        refused=told.get("refused", 0),
        unsent=told.get("unsent", 0),
        served_p99_ms=told.get("served_p99", 0.0) / 1000,
    )
