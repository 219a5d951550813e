"""`make setup`: three environments from their locks. Standard library only: it runs before anything else.

An environment carries a stamp, written last. No stamp, or one of another interpreter: it is built
from nothing. Another lock: it is brought to the lock in place. Else it is left alone.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from include.commands.package_index import check_index, read_pip_options, uv_environment
from include.contracts.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
PYTHON = (3, 11)
MINIMUM_FREE_BYTES = 4 * 2**30
STAMP = "ninety-stamp.json"


@dataclass(frozen=True)
class Environment:
    """A virtual environment and the lock that fills it, both relative to the repository root."""

    folder: str
    lock: str


PLATFORM = Environment(".venv", "requirements.lock")
GATEWAY = Environment(".venv-gateway", "serving/gateway/requirements.lock")
TRITON = Environment(".venv-triton", "serving/triton/requirements.lock")
SPARK = Environment(".venv-spark", "include/adapters/spark/requirements.lock")
"""Beside the platform's, for who sets NINETY_ENGINE=spark."""
ENVIRONMENTS = (PLATFORM, GATEWAY, TRITON)
LOCKED = (*ENVIRONMENTS, SPARK)
"""Every environment there is a lock for."""


class Work(Enum):
    """What an environment needs."""

    NOTHING = "up to date"
    UPDATE = "bring to its lock"
    BUILD = "build"


def main(arguments: list[str] | None = None) -> int:
    """Set up and return the exit status; what is missing is one line on the terminal."""
    parser = argparse.ArgumentParser(prog="setup", description=__doc__)
    parser.add_argument("--spark", action="store_true", help="install Spark, too")
    wanted = LOCKED if parser.parse_args(arguments).spark else ENVIRONMENTS
    began = time.monotonic()
    try:
        check_python()
        with alone(ROOT):
            set_up(ROOT, wanted)
    except (PlatformError, OSError) as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup: interrupted; run it again and it takes up where it was", file=sys.stderr)
        return 130
    print(f"setup: ready in {time.monotonic() - began:.1f} s")
    return 0


def set_up(root: Path, wanted: Sequence[Environment] = ENVIRONMENTS) -> None:
    """Bring environments of a checkout to their locks.

    Raises:
        PlatformError: something needed is missing, or an installation failed.
    """
    pending = {item: work for item in wanted if (work := work_needed(root, item)) is not Work.NOTHING}
    if not pending:
        return
    check_machine(root)
    if PLATFORM not in pending and not (root / PLATFORM.folder / "bin" / "uv").exists():
        pending = {PLATFORM: Work.BUILD, **pending}
    for number, (environment, work) in enumerate(pending.items(), 1):
        print(f"[{number}/{len(pending)}] {environment.folder}: {work.value}", flush=True)
        began = time.monotonic()
        install(root, environment, work)
        print(f"[{number}/{len(pending)}] {environment.folder}: {time.monotonic() - began:.1f} s", flush=True)


def install(root: Path, environment: Environment, work: Work) -> None:
    """Build an environment, or bring it to its lock, and stamp it last."""
    folder = root / environment.folder
    lock = root / environment.lock
    stamp = stamp_of(lock)
    (folder / STAMP).unlink(missing_ok=True)
    if work is Work.BUILD:
        build(folder, with_pip=environment is PLATFORM)
    if environment is PLATFORM:
        install_uv(folder, lock.read_text("utf-8"))
    sync(root, folder, lock)
    if environment is TRITON:
        prepare_backend(folder)
    write_stamp(folder, stamp)


def work_needed(root: Path, environment: Environment) -> Work:
    """Compare an environment's stamp with its lock and this interpreter."""
    wanted = stamp_of(root / environment.lock)
    try:
        stamp = json.loads((root / environment.folder / STAMP).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return Work.BUILD
    if stamp == wanted:
        return Work.NOTHING
    return Work.UPDATE if stamp.get("interpreter") == wanted["interpreter"] else Work.BUILD


def stamp_of(lock: Path) -> dict[str, str]:
    """Return the stamp of an environment made now, by this interpreter, from this lock."""
    return {
        "lock": hashlib.sha256(lock.read_bytes()).hexdigest(),
        "interpreter": f"{sys.base_prefix} {sys.version}",
    }


def write_stamp(folder: Path, stamp: dict[str, str]) -> None:
    """Write the stamp in one step."""
    temporary = folder / (STAMP + ".new")
    temporary.write_text(json.dumps(stamp, indent=1) + "\n", "utf-8")
    temporary.replace(folder / STAMP)


def check_python(version: tuple[int, ...] = sys.version_info[:2]) -> None:
    """Make sure that this is the Python the locks were made for.

    Raises:
        PlatformError: it is not.
    """
    if version[:2] != PYTHON:
        found = ".".join(str(part) for part in version[:2])
        raise PlatformError(
            f"Python 3.11 is needed and this is {found}; run `make setup BOOTSTRAP=<a python3.11>`"
        )


def check_machine(root: Path) -> None:
    """Make sure that environments can be built here at all.

    Raises:
        PlatformError: a module, a library or disk space is missing.
    """
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        raise PlatformError(
            f"{sys.executable} lacks the module {missing[0]} (Debian and Ubuntu: apt install python3.11-venv)"
        )
    if not has_shared_python():
        raise PlatformError(
            f"{sys.executable} has no {LIBPYTHON}, which Triton's Python backend needs "
            "(Debian and Ubuntu: apt install libpython3.11)"
        )
    free = shutil.disk_usage(root).free
    if free < MINIMUM_FREE_BYTES:
        raise PlatformError(
            f"{root} has {free / 2**30:.1f} GiB free and {MINIMUM_FREE_BYTES / 2**30:.0f} are needed"
        )


LIBPYTHON = "libpython3.11.so.1.0"


def has_shared_python() -> bool:
    """Tell whether the interpreter's shared library is beside it or known to the loader."""
    beside = Path(sysconfig.get_config_var("LIBDIR") or "/nonexistent") / LIBPYTHON
    if beside.exists():
        return True
    try:
        ctypes.CDLL(LIBPYTHON)
    except OSError:
        return False
    return True


def build(folder: Path, *, with_pip: bool) -> None:
    """Make an empty virtual environment, whatever was there before."""
    interpreter = getattr(sys, "_base_executable", sys.executable)
    options = ["--clear"] if with_pip else ["--clear", "--without-pip"]
    run([interpreter, "-m", "venv", *options, str(folder)], dict(os.environ))


def install_uv(folder: Path, lock_text: str) -> None:
    """Install the locked uv, hash-checked, with the pip of a fresh environment."""
    python = folder / "bin" / "python"
    if (folder / "bin" / "uv").exists():
        return
    check_index(read_pip_options(python))
    pin = folder / "uv.lock.txt"
    pin.write_text(pinned_block(lock_text, "uv"), "utf-8")
    run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", str(pin)])
    pin.unlink()


def pinned_block(lock_text: str, name: str) -> str:
    """Return the lines of a lock that pin one package, with its hashes.

    Raises:
        PlatformError: the lock does not pin it.
    """
    match = re.search(rf"^{re.escape(name)}==[^\n]*\n(?:[ \t]+--hash=[^\n]*\n)*", lock_text, re.MULTILINE)
    if match is None:
        raise PlatformError(f"the lock pins no {name}; run `make lock`")
    return match[0].rstrip().removesuffix("\\") + "\n"


def sync(root: Path, folder: Path, lock: Path) -> None:
    """Make an environment hold what its lock says and nothing else.

    `uv pip install --exact` and not `uv pip sync`: torch's own wheels name their CUDA libraries as
    dependencies, which a lock that also fits CPU builds cannot list.
    """
    python = folder / "bin" / "python"
    options = read_pip_options(root / PLATFORM.folder / "bin" / "python")
    check_index(options)
    command = [str(root / PLATFORM.folder / "bin" / "uv"), "pip", "install", "--exact"]
    run([*command, "--python", str(python), "-r", str(lock)], uv_environment(options, os.environ))


def prepare_backend(folder: Path) -> Path:
    """Lay out Triton's Python backend with the stub of our Python and return its parent folder."""
    server = folder / "lib" / "python3.11" / "site-packages" / "pytriton" / "tritonserver"
    stub = server / "python_backend_stubs" / "3.11" / "triton_python_backend_stub"
    backends = folder / "backends"
    shutil.rmtree(backends, ignore_errors=True)
    shutil.copytree(server / "backends" / "python", backends / "python")
    shutil.copy2(stub, backends / "python" / stub.name)
    (backends / "python" / stub.name).chmod(0o755)
    return backends


def run(command: list[str], environment: dict[str, str] | None = None, folder: Path | None = None) -> None:
    """Run a command in a folder (default: here) and show its milestones.

    Raises:
        PlatformError: it failed; the message carries what it said last.
    """
    said: list[str] = []
    process = subprocess.Popen(  # noqa: S603 commands are built here
        command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    for line in process.stdout or ():
        said.append(line.strip())
        if line.startswith(("Resolved", "Prepared", "Uninstalled", "Installed")):
            print(f"      {line.strip()}", flush=True)
    if process.wait() != 0:
        raise PlatformError(failure(command, said))


def failure(command: list[str], said: list[str]) -> str:
    """Put a failed command's last words into one line."""
    words = [line for line in said if line and not line.startswith(("+ ", "- ", "[notice]"))]
    called = " ".join([Path(command[0]).name, *command[1:4]])
    return f"`{called}` failed: {' '.join(words[-6:]) or 'it said nothing'}"


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold the checkout's set-up lock, so that two set-ups follow each other."""
    with (root / ".venv-setup.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("setup: another one is at work here; waiting for it", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
