"""Readers of the prediction log and the deletion of its segments keep out of each other's way."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Keep segments from being deleted while the block reads."""
    with _locked(folder, fcntl.LOCK_SH):
        yield


@contextmanager
def deleting(folder: Path) -> Iterator[bool]:
    """Say whether nobody reads, and keep readers waiting for the length of the block if so."""
    with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB) as is_alone:
        yield is_alone


@contextmanager
def _locked(folder: Path, operation: int) -> Iterator[bool]:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        yield True
        return
    try:
        yield _is_granted(descriptor, operation)
    finally:
        os.close(descriptor)


def _is_granted(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        return False
    return True
