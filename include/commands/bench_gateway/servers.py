"""Servers that run for the length of a block, each in a Unix session of its own; nothing of it stays."""

import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from include.commands.unix_processes import family_of, read_processes, send
from include.config.settings import REPOSITORY_ROOT
from include.contracts.errors import PlatformError

_READY_SECONDS, _END_SECONDS, _POLL_SECONDS = 120.0, 15.0, 0.1
_LAST_CHARACTERS = 2000


@contextmanager
def running_server(
    command: Sequence[str], environment: Mapping[str, str], log: Path, ready_url: str
) -> Iterator[int]:
    """Run a server; yield its Unix session once it is ready.

    Args:
        command: program and arguments; run in the repository's root.
        environment: all of its environment.
        log: file its output goes to.
        ready_url: answers 200 when the server is ready.

    Raises:
        PlatformError: it ended, or did not get ready in time; the message carries its last words.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - own arguments
            command,
            env=environment,
            cwd=REPOSITORY_ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _await_ready(process, ready_url, log)
        yield process.pid
    finally:
        _end(process)


def answers_ok(url: str) -> bool:
    """Say whether a GET is answered with 200."""
    try:
        return httpx.get(url, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _await_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if answers_ok(url):
            return
        time.sleep(_POLL_SECONDS)
    said = log.read_text("utf-8", "replace")[-_LAST_CHARACTERS:]
    raise PlatformError(f"{url} did not answer; {log} ends with:\n{said}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end, then kill what is left of all it started."""
    family = family_of(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    alive = {(item.pid, item.started) for item in read_processes()}
    send(signal.SIGKILL, [item.pid for item in family if (item.pid, item.started) in alive])
