"""`make lock`: resolve what requirements.txt names to pinned, hashed locks. Standard library only.

torch stands in the lock without hashes, local version and CUDA libraries: a CPU build that pip is
pointed at (PIP_FIND_LINKS) then satisfies it as well as the index's own wheel, which brings the
libraries it names exactly.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from include.commands.package_index import read_pip_options, uv_environment
from include.commands.setup import LOCKED, PLATFORM, ROOT, Environment, run
from include.contracts.errors import PlatformError

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)

_CUDA_BLOCK = re.compile(r"^(?:cuda-|nvidia-(?!pytriton)|triton==)[^\n]*\n(?:[ \t]+[^\n]*\n)*", re.MULTILINE)


def main(arguments: list[str] | None = None) -> int:
    """Write the locks, or with `--check` compare them with what we chose, offline."""
    parser = argparse.ArgumentParser(prog="lock", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="only compare requirements.txt with the lock")
    parser.add_argument("--upgrade", action="store_true", help="take newer versions where allowed")
    chosen = parser.parse_args(arguments)
    try:
        for environment in LOCKED:
            if not chosen.check:
                write_lock(ROOT, environment, upgrade=chosen.upgrade)
            check_lock(ROOT, environment)
    except PlatformError as error:
        print(f"lock: {error}", file=sys.stderr)
        return 1
    return 0


def requirements_of(root: Path, environment: Environment) -> Path:
    """Return the requirements.txt beside an environment's lock."""
    return (root / environment.lock).with_name("requirements.txt")


def write_lock(root: Path, environment: Environment, *, upgrade: bool) -> None:
    """Resolve an environment's requirements and write its lock in one step.

    Raises:
        PlatformError: they do not resolve; the message carries uv's reason.
    """
    bin_folder = root / PLATFORM.folder / "bin"
    lock = root / environment.lock
    draft = lock.with_name(lock.name + ".new")
    if lock.exists():
        draft.write_bytes(lock.read_bytes())  # uv keeps the pins it finds in its output file
    command = [str(bin_folder / "uv"), "pip", "compile", "--quiet", "--generate-hashes", "-p", "3.11"]
    command += ["--no-emit-find-links", "--no-emit-index-url", "--no-header"]
    command += ["--upgrade"] if upgrade else []
    told = uv_environment(read_pip_options(bin_folder / "python"), os.environ)
    run([*command, "-o", draft.name, requirements_of(root, environment).name], told, lock.parent)
    draft.write_text(without_torch_build(draft.read_text("utf-8")), "utf-8")
    draft.replace(lock)


def without_torch_build(lock_text: str) -> str:
    """Drop what depends on the build of torch: its hashes, its local version, its CUDA libraries."""
    any_build = re.sub(
        r"^torch==([^\s+\\]+)(?:\+\w+)?[^\n]*\n(?:[ \t]+--hash=[^\n]*\n)*",
        r"torch==\1\n",
        lock_text,
        flags=re.MULTILINE,
    )
    return _CUDA_BLOCK.sub("", any_build)


def check_lock(root: Path, environment: Environment) -> None:
    """Make sure that a lock pins every version we chose.

    Raises:
        PlatformError: it does not; the message names each difference.
    """
    lock = root / environment.lock
    differing = differences(requirements_of(root, environment).read_text("utf-8"), lock.read_text("utf-8"))
    if differing:
        raise PlatformError(f"{environment.lock}: {'; '.join(differing)}; run `make lock`")


def differences(requirements: str, lock_text: str) -> list[str]:
    """Name each `==` of the requirements that the lock pins otherwise or not at all."""
    locked = pins(lock_text)
    return [
        f"{name} is {version} in requirements.txt and {locked.get(name, 'absent')} in the lock"
        for name, version in pins(requirements).items()
        if locked.get(name) != version
    ]


def pins(text: str) -> dict[str, str]:
    """Return normalised package name to pinned version."""
    return {re.sub(r"[-_.]+", "-", found["name"]).lower(): found["version"] for found in _PIN.finditer(text)}


if __name__ == "__main__":
    sys.exit(main())
