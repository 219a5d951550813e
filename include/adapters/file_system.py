"""What a writer of segments asks of the disk; a test brings one that loses power."""

import fcntl
import os
from pathlib import Path

from include.adapters.files import sync

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class FileSystem:
    """The machine's own."""

    @property
    def boot_id(self) -> str:
        """Which run of the machine this is; empty where it does not say."""
        return _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else ""

    def create(self, path: Path) -> int:
        """Make a file that must not exist, locked and for appending; return its descriptor."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def write(self, descriptor: int, content: bytes) -> int:
        """Append bytes; return how many were taken."""
        return os.write(descriptor, content)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut a file to a size."""
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """Bring a file's bytes, and how many they are, to the disk; its times need not get there."""
        os.fdatasync(descriptor)

    def sync_path(self, path: Path) -> None:
        """Bring a small file's bytes or a folder's entries to the disk."""
        sync(path)

    def mark(self, path: Path, content: str) -> None:
        """Write a small file."""
        path.touch(mode=0o600)
        path.write_text(content, encoding="ascii")

    def remove(self, path: Path) -> None:
        """Remove a file that may be gone."""
        path.unlink(missing_ok=True)

    def close(self, descriptor: int) -> None:
        """Close a file; its lock goes with it."""
        os.close(descriptor)


FILES = FileSystem()
