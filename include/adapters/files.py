"""Atomic files: a reader sees the old bytes or the new ones, never something between.

What is not finished lies in a scratch folder beside its place, under a lock that the kernel takes from a
killed process. The next to write there removes what nobody holds.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from uuid import uuid4

_SUFFIX = ".tmp"
_SCRATCH = f".*.{'[0-9a-f]' * 32}{_SUFFIX}"
"""Pattern of the names of scratch folders."""


def sha256_of(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Flush a file or a folder's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def scratch_folder(parent: Path, name: str) -> Iterator[Path]:
    """Yield a hidden folder of this process's own in `parent`; it is removed at the end.

    What killed processes left in `parent` is removed first.

    Args:
        parent: made if missing; whatever is moved from the scratch folder to it is moved in one step.
        name: what is being made; it shows in the scratch folder's name.
    """
    parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(parent)
    folder, lock = _locked_folder(parent, name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        os.close(lock)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path near `path`; on success it is flushed and takes its place."""
    with scratch_folder(path.parent, path.name) as folder:
        temporary = folder / f"{path.name}{_SUFFIX}"
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)


def write_atomically(path: Path, content: bytes) -> None:
    """Write bytes so that the file is complete or as it was."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _locked_folder(parent: Path, name: str) -> tuple[Path, int]:
    """Make a folder under a name nobody else has; return it with the descriptor that holds its lock."""
    while True:
        folder = parent / f".{name}.{uuid4().hex}{_SUFFIX}"
        folder.mkdir()
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Somebody may have taken it for abandoned before it was locked.
        if folder.exists():
            return folder, lock
        os.close(lock)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(_SCRATCH):
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if folder.exists():
                shutil.rmtree(folder)
        except BlockingIOError:
            continue
        finally:
            os.close(lock)
