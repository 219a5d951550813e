"""Servers that benchmarks and tests run beside the platform, from Debian's packages, on free ports."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from include.contracts.errors import PlatformError

_START_SECONDS = 20.0
_END_SECONDS = 10.0
_POLL_SECONDS = 0.05
_LAST_CHARACTERS = 2000
_LOCK_SECONDS = 120


def find_server(name: str, package: str, *, install: bool) -> str:
    """Return the path of a server's program.

    Args:
        name: program.
        package: Debian package that brings it.
        install: install the package where the program is missing; needs root.

    Raises:
        PlatformError: it is not installed, or cannot be.
    """
    found = shutil.which(name)
    if found is None and install:
        _install(package)
        found = shutil.which(name)
    if found is None:
        raise PlatformError(f"{name} is not installed (Debian and Ubuntu: apt install {package})")
    return found


def _install(package: str) -> None:
    """Install a Debian package; a machine that never asked for the lists of packages asks for them first."""
    wanted = ["install", "--yes", "--no-install-recommends", package]
    if _apt_get(*wanted) is None:
        return
    _apt_get("update")
    failure = _apt_get(*wanted)
    if failure is not None:
        raise PlatformError(f"`apt-get {' '.join(wanted)}` failed: {failure}")


def _apt_get(*arguments: str) -> str | None:
    """Run apt-get, waiting for another that runs already; return what it said if it failed."""
    command = ["apt-get", "-o", f"DPkg::Lock::Timeout={_LOCK_SECONDS}", *arguments]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 - own arguments
    return None if done.returncode == 0 else done.stderr[-_LAST_CHARACTERS:]


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def redis_server(*, install: bool = False) -> Iterator[str]:
    """Run an empty Redis on loopback, without persistence; yield its URL, stop it afterwards.

    Raises:
        PlatformError: it is not installed, or did not start.
    """
    program, port = find_server("redis-server", "redis-server", install=install), free_port()
    with TemporaryDirectory() as folder:
        options = {"bind": "127.0.0.1", "port": str(port), "save": "", "appendonly": "no", "dir": folder}
        log = Path(folder) / "redis.log"
        command = [program, *(word for name, value in options.items() for word in (f"--{name}", value))]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603 - ours
        try:
            _await_port(port, process, log)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            _end(process)


def _await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(_POLL_SECONDS)
    raise PlatformError(
        f"redis-server did not start: {log.read_text('utf-8', 'replace')[-_LAST_CHARACTERS:]}"
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
