"""A disk that loses power: what no sync has reached is gone, half there, or there with gaps.

Entries of folders and sizes of files go to the disk in the order they were made, as a journal keeps them;
when power is lost, a part of what was not synced is there. The bytes behind a size may be missing all the
same. A synced file whose folder was not synced may be gone whole.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from errno import EIO, ENOSPC
from pathlib import Path

from include.adapters.file_system import FileSystem


@dataclass
class _Change:
    """A change no sync has reached: a new entry, a removed one, or a file's new size."""

    kind: str
    path: Path
    size: int = 0


class LossyDisk(FileSystem):
    """Real files, and a memory of what of them is safe."""

    def __init__(self) -> None:
        self.boots = 0
        self.failing: set[str] = set()
        """Suffixes of files whose next sync fails, and `truncate` while files cannot be cut."""
        self.room: int | None = None
        """Bytes that are left; None is endless."""
        self.opened: dict[int, Path] = {}
        self.changes: list[_Change] = []
        self.safe: dict[Path, bytes] = {}
        self.dropped: dict[Path, tuple[int, int]] = {}
        """What a failed sync lost: the next one does not write it, and says that all is well."""

    @property
    def boot_id(self) -> str:
        return f"boot-{self.boots}"

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        self.opened[descriptor] = path
        self.changes.append(_Change("create", path))
        return descriptor

    def write(self, descriptor: int, content: bytes) -> int:
        if self.room is not None and self.room < len(content):
            content, self.room = content[: self.room], 0
            if not content:
                raise OSError(ENOSPC, "no room")
        elif self.room is not None:
            self.room -= len(content)
        written = super().write(descriptor, content)
        self._resized(descriptor)
        return written

    def truncate(self, descriptor: int, size: int) -> None:
        if "truncate" in self.failing:
            raise OSError(EIO, "the disk failed")
        super().truncate(descriptor, size)
        self._resized(descriptor)

    def sync(self, descriptor: int) -> None:
        path = self.opened[descriptor]
        if path.suffix in self.failing:
            self.failing.remove(path.suffix)
            self.dropped[path] = (len(self.safe.get(path, b"")), path.stat().st_size)
            raise OSError(EIO, "the disk failed")
        start, end = self.dropped.get(path, (0, 0))
        content = path.read_bytes()
        self.safe[path] = content[:start] + bytes(end - start) + content[end:]
        self._settle(lambda change: change.kind == "size" and change.path == path)

    def sync_path(self, path: Path) -> None:
        if path.is_file():
            self.safe[path] = path.read_bytes()
            self._settle(lambda change: change.kind == "size" and change.path == path)
        else:
            self._settle(lambda change: change.kind != "size" and change.path.parent == path)

    def mark(self, path: Path, content: str) -> None:
        super().mark(path, content)
        self.changes += [_Change("create", path), _Change("size", path, len(content))]

    def remove(self, path: Path) -> None:
        if path.exists():
            self.safe.setdefault(path, path.read_bytes())
            super().remove(path)
            self.changes.append(_Change("remove", path))

    def close(self, descriptor: int) -> None:
        super().close(descriptor)
        del self.opened[descriptor]

    def kill(self) -> None:
        """End the process: its files are closed, what it wrote stays."""
        for descriptor in list(self.opened):
            self.close(descriptor)

    def lose_power(self, pick: Callable[[int], int]) -> None:
        """Leave what a power loss leaves; `pick(n)` gives a number from 0 to n."""
        self.kill()
        kept = pick(len(self.changes))
        sizes = {each.path: each.size for each in self.changes[:kept] if each.kind == "size"}
        for path, size in sizes.items():
            if path.exists():
                self._tear(path, size, pick)
        for change in self.changes:
            if change.kind == "size" and change.path not in sizes and change.path.exists():
                change.path.write_bytes(self.safe.get(change.path, b""))
        for change in reversed(self.changes[kept:]):
            if change.kind == "create":
                change.path.unlink(missing_ok=True)
            elif change.kind == "remove":
                change.path.write_bytes(self.safe[change.path])
        self.changes = []
        self.boots += 1

    def settle(self) -> None:
        """Have everything safe as it is, as recovery leaves what it seals."""
        self.changes = []
        self.safe = {path: path.read_bytes() for path in self.safe if path.exists()}

    def _resized(self, descriptor: int) -> None:
        path = self.opened[descriptor]
        self.changes.append(_Change("size", path, os.fstat(descriptor).st_size))

    def _settle(self, is_settled: Callable[[_Change], bool]) -> None:
        self.changes = [change for change in self.changes if not is_settled(change)]

    def _tear(self, path: Path, size: int, pick: Callable[[int], int]) -> None:
        """Give a file a size whose unsynced bytes may have a gap of zeros."""
        safe = self.safe.get(path, b"")
        content = path.read_bytes()[:size].ljust(size, b"\0")
        start = len(safe) + pick(max(0, size - len(safe)))
        end = start + pick(max(0, size - start))
        torn = content[:start] + bytes(end - start) + content[end:]
        path.write_bytes(torn if len(safe) <= size else safe[:size])
