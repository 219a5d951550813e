"""Open loop: requests leave at a constant rate, and latencies count from when each was due.

No package of Debian brings a native generator that does this (wrk waits for answers, and so does each worker
of hey), so that a small C program does, compiled where the benchmark runs.
"""

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from include.commands.bench_gateway.closed_loop import Answers, Target, read_answers
from include.commands.services import find_server
from include.contracts.errors import PlatformError

SOURCE = Path(__file__).with_name("open_loop.c")
CONNECTIONS = 512
"""Most requests in flight; what is due beyond them waits, and its latency grows."""
_GRACE_SECONDS = 25.0
_LAST_CHARACTERS = 2000


def compiled(folder: Path, *, install: bool = False) -> Path:
    """Compile the generator into a folder and return the program.

    Raises:
        PlatformError: there is no compiler, or it failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / SOURCE.stem
    compiler = find_server("gcc", "build-essential", install=install)
    command = [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - own arguments
    if done.returncode != 0:
        raise PlatformError(f"{SOURCE} could not be compiled: {done.stderr[-_LAST_CHARACTERS:]}")
    return program


def open_loop(
    program: Path,
    target: Target,
    rate: float,
    seconds: float,
    *,
    connections: int = CONNECTIONS,
    warm: bool = False,
    seed: int = 1,
) -> Answers:
    """Send requests at a rate per second.

    Args:
        program: the generator, compiled.
        target: what they are sent to.
        rate: requests a second.
        seconds: how long.
        connections: most requests in flight.
        warm: whether each connection is opened and used once before the clock starts.
        seed: of the draw.

    Raises:
        PlatformError: the generator failed.
    """
    url = urlsplit(target.url)
    words = [program, url.hostname, url.port, url.path, rate, seconds, connections, int(warm), seed]
    words += [target.requests, target.right, *(f"{name}: {value}" for name, value in target.headers.items())]
    done = subprocess.run(  # noqa: S603 - own arguments
        [str(word) for word in words],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + _GRACE_SECONDS,
    )
    if done.returncode != 0:
        raise PlatformError(f"the open loop failed: {done.stderr[-_LAST_CHARACTERS:]}")
    return read_answers(done.stdout)
