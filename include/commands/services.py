"""Servers that benchmarks and tests run beside the platform, from Debian's packages, on free ports."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from include.contracts.errors import PlatformError

_START_SECONDS = 120.0
_END_SECONDS = 10.0
_POLL_SECONDS = 0.05
_LAST_CHARACTERS = 2000
_LOCK_SECONDS = 120
_POSTGRES_USER = "postgres"
"""Of Debian's package; PostgreSQL refuses to run as root."""
_POSTGRES_FOLDERS = "/usr/lib/postgresql"
_VOLATILE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def find_server(name: str, package: str, *, install: bool, folders: Sequence[Path] = ()) -> str:
    """Return the path of a server's program.

    Args:
        name: program.
        package: Debian package that brings it.
        install: install the package where the program is missing; needs root.
        folders: where it may lie besides `PATH`, first come first.

    Raises:
        PlatformError: it is not installed, or cannot be.
    """
    found = _which(name, folders)
    if found is None and install:
        _install(package)
        found = _which(name, folders)
    if found is None:
        raise PlatformError(f"{name} is not installed (Debian and Ubuntu: apt install {package})")
    return found


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
        command = [program, *(word for name, value in options.items() for word in (f"--{name}", value))]
        with running_server(command, Path(folder) / "redis.log", port):
            yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def postgres_server(*, install: bool = False, durable: bool = True) -> Iterator[str]:
    """Run an empty PostgreSQL on loopback; yield the SQLAlchemy URL of its superuser, stop it afterwards.

    Args:
        install: install Debian's package where it is missing.
        durable: False leaves out what makes a commit survive loss of power, for tests.

    Raises:
        PlatformError: it is not installed, or did not start.
    """
    bin_folder = Path(postgres_program("initdb", install=install)).parent
    user = _POSTGRES_USER if os.geteuid() == 0 else None
    port, password = free_port(), secrets.token_urlsafe(18)
    with TemporaryDirectory() as folder:
        cluster = Path(folder) / "cluster"
        _make_cluster(bin_folder, cluster, password, user)
        options = ["listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", "TimeZone=UTC"]
        options += [] if durable else _VOLATILE
        command = [str(bin_folder / "postgres"), "-D", str(cluster)]
        command += [word for option in options for word in ("-c", option)]
        asking = [str(bin_folder / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        with running_server(
            command,
            Path(folder) / "postgres.log",
            port,
            is_ready=lambda: _succeeds(asking),
            end_signal=signal.SIGINT,  # TERM waits for clients to leave
            user=user,
        ):
            yield f"postgresql+psycopg://ninety:{password}@127.0.0.1:{port}/postgres"


def postgres_program(name: str, *, install: bool = False) -> str:
    """Return the path of one of PostgreSQL's programs, of the newest version there is.

    Raises:
        PlatformError: it is not installed, or cannot be.
    """
    versions = sorted(Path(_POSTGRES_FOLDERS).glob("*/bin"), key=lambda path: -float(path.parent.name))
    if not versions and install and shutil.which(name) is None:
        _install("postgresql")
        return postgres_program(name)
    return find_server(name, "postgresql", install=False, folders=versions)


@contextmanager
def running_server(
    command: Sequence[str],
    log: Path,
    port: int,
    *,
    is_ready: Callable[[], bool] | None = None,
    end_signal: int = signal.SIGTERM,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; begin the block once it is ready.

    Args:
        command: program and arguments; it must stay in the foreground.
        log: where its output goes; the folder is where it runs.
        port: loopback port it will listen on.
        is_ready: asked instead of whether somebody listens on the port.
        end_signal: asks it to end at once and in order.
        environment: instead of this process's.
        user: runs as this user, which takes root.

    Raises:
        PlatformError: it did not start; the message carries its last words.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - ours
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, user=user, cwd=log.parent
        )
    try:
        _await(is_ready or (lambda: _listens(port)), process, Path(command[0]).name, log)
        yield process
    finally:
        _end(process, end_signal)


def _which(name: str, folders: Sequence[Path]) -> str | None:
    places = [*map(str, folders), os.environ.get("PATH", os.defpath), "/usr/sbin"]
    return shutil.which(name, path=os.pathsep.join(places))


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
    # In run level 1 Debian's packages start no server of their own on the usual port.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 - own arguments
    return None if done.returncode == 0 else done.stderr[-_LAST_CHARACTERS:]


def _make_cluster(bin_folder: Path, cluster: Path, password: str, user: str | None) -> None:
    """Make the files of an empty PostgreSQL whose superuser `ninety` has a password."""
    folder = cluster.parent
    secret = folder / "password"
    secret.write_text(password, encoding="ascii")
    if user is not None:
        account = pwd.getpwnam(user)
        for path in (folder, secret):
            os.chown(path, account.pw_uid, account.pw_gid)
    command = [str(bin_folder / "initdb"), "-D", str(cluster), "-U", "ninety", "--pwfile", str(secret)]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, user=user, cwd=folder)  # noqa: S603 - ours
    secret.unlink()
    if done.returncode != 0:
        raise PlatformError(f"initdb failed: {(done.stdout + done.stderr)[-_LAST_CHARACTERS:]}")


def _await(is_ready: Callable[[], bool], process: subprocess.Popen[bytes], name: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if is_ready():
            return
        time.sleep(_POLL_SECONDS)
    raise PlatformError(f"{name} did not start: {log.read_text('utf-8', 'replace')[-_LAST_CHARACTERS:]}")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _succeeds(command: Sequence[str]) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603 - ours


def _end(process: subprocess.Popen[bytes], end_signal: int) -> None:
    process.send_signal(end_signal)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
