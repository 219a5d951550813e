"""Atomic files: a reader sees the old bytes or the new ones, never something between.

What is not finished lies hidden beside its place, under a lock that the kernel takes from a
killed process. The next to write there removes what nobody holds.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from uuid import uuid4

_SUFFIX = ".tmp"
_SCRATCH = f".*.{'[0-9a-f]' * 32}{_SUFFIX}"
"""Pattern of the names of what is not finished."""


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
    """Yield a hidden folder of this process's own in `parent`; unless moved into place it is removed.

    What killed processes left in `parent` is removed first.

    Args:
        parent: made if missing; whatever is moved from the scratch folder to it is moved in one step.
        name: what is being made; it shows in the scratch folder's name.
    """
    with _scratch(parent, name, Path.mkdir) as folder:
        yield folder


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is flushed and takes its place."""
    with _scratch(path.parent, path.name, Path.touch) as temporary:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)


def write_atomically(path: Path, content: bytes) -> None:
    """Write bytes so that the file is complete or as it was."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def _scratch(parent: Path, name: str, make: Callable[[Path], None]) -> Iterator[Path]:
    parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(parent)
    path, lock = _locked(parent, name, make)
    try:
        yield path
    finally:
        _remove(path)
        os.close(lock)


def _locked(parent: Path, name: str, make: Callable[[Path], None]) -> tuple[Path, int]:
    """Make a file or folder under a name nobody else has; return it with the descriptor of its lock."""
    while True:
        path = parent / f".{name}.{uuid4().hex}{_SUFFIX}"
        make(path)
        try:
            lock = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Somebody may have taken it for abandoned before it was locked.
        if path.exists():
            return path, lock
        os.close(lock)


def _remove_abandoned(parent: Path) -> None:
    for path in parent.glob(_SCRATCH):
        try:
            lock = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)
        except BlockingIOError:
            continue
        finally:
            os.close(lock)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
