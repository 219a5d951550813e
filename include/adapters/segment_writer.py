"""Writing segments; what they are says `segments`.

A durable writer's records survive the machine, too, once they are synced. Syncing takes three steps, so that
only the slow one leaves the thread that appends: `begin_sync`, `Sync.run` (in any thread), `end_sync`.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from time import monotonic
from uuid import uuid4

from include.adapters.file_system import FILES, FileSystem
from include.adapters.segments import HEADER, day_folder, framed, marker
from include.contracts.errors import LogWriteError

OPEN_DAYS = 8
"""Days a writer keeps a segment open for; a replay walks through more."""
SEGMENT_SECONDS = 3600.0
"""Age at which a segment is sealed, however small: what is open cannot be compacted."""


@dataclass
class _Segment:
    descriptor: int
    path: Path
    started: float
    """Monotonic seconds."""
    size: int = 0
    records: int = 0
    synced_size: int = 0
    synced_records: int = 0
    is_torn: bool = False
    """Whether a half record lies at its end, which could not be cut."""

    @property
    def is_synced(self) -> bool:
        return self.synced_size == self.size


@dataclass(frozen=True)
class Lag:
    """What was appended and is not on the disk yet."""

    records: int
    size: int
    """Bytes."""


@dataclass(frozen=True)
class _Part:
    """How far a sync reaches in a segment."""

    segment: _Segment
    size: int
    records: int


@dataclass
class Sync:
    """One sync of everything that was written when it began."""

    files: FileSystem
    root: Path
    parts: Sequence[_Part]
    errors: dict[Path, OSError] = field(default_factory=dict)
    """What failed, by segment."""

    def run(self) -> None:
        """Wait for the disk; may run in a thread of its own while records are appended."""
        for part in self.parts:
            try:
                self.files.sync(part.segment.descriptor)
                if part.segment.synced_size == 0:
                    for path in self._entries(part.segment):
                        self.files.sync_path(path)
            except OSError as error:
                self.errors[part.segment.path] = error

    def _entries(self, segment: _Segment) -> Iterator[Path]:
        """Yield what a new segment needs to be found again: its mark, and the folders on its way."""
        yield marker(segment.path)
        yield segment.path.parent
        yield self.root
        yield self.root.parent


class SegmentWriter:
    """One process's writer; not for use by several threads at once."""

    def __init__(
        self,
        root: Path,
        segment_bytes: int,
        *,
        durable: bool = False,
        files: FileSystem = FILES,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Args: durable: whether records are synced; segments are then sealed only after a sync."""
        self._root = root
        self._segment_bytes = segment_bytes
        self._durable = durable
        self._files = files
        self._clock = clock
        self._open: OrderedDict[date, _Segment] = OrderedDict()
        self._leaving: list[_Segment] = []
        """Appended to no more, but not synced yet."""

    @property
    def lag(self) -> Lag:
        """What no sync has reached yet; nothing where the writer is not durable."""
        behind = [*self._open.values(), *self._leaving] if self._durable else []
        return Lag(
            records=sum(segment.records - segment.synced_records for segment in behind),
            size=sum(segment.size - segment.synced_size for segment in behind),
        )

    def append(self, day: date, payloads: Sequence[bytes]) -> int:
        """Write records with one system call; they survive this process once it returns.

        Returns:
            Bytes written.

        Raises:
            LogWriteError: the disk is full or the folder cannot be written; nothing of the batch stays.
        """
        content = b"".join(map(framed, payloads))
        try:
            segment = self._segment(day)
            self._write(day, segment, content)
        except OSError as error:
            raise LogWriteError(f"cannot append to the log in {self._root}: {error}") from error
        segment.records += len(payloads)
        return len(content)

    def begin_sync(self) -> Sync:
        """Return a sync of what is not on the disk yet; one is under way at a time."""
        behind = [each for each in (*self._open.values(), *self._leaving) if not each.is_synced]
        parts = [_Part(segment, segment.size, segment.records) for segment in behind]
        return Sync(self._files, self._root, parts)

    def end_sync(self, sync: Sync) -> None:
        """Take note of a sync that has run.

        Raises:
            LogWriteError: it failed. The segments it failed on take no more records and lose those that no
                sync has reached, also what was appended meanwhile: what a second sync says of pages that
                could not be written means nothing.
        """
        for part in sync.parts:
            if part.segment.path in sync.errors:
                self._abandon(part.segment)
            else:
                part.segment.synced_size, part.segment.synced_records = part.size, part.records
        for segment in [each for each in self._leaving if each.is_synced]:
            self._leaving.remove(segment)
            self._seal(segment)
        for error in sync.errors.values():
            raise LogWriteError(f"cannot sync the log in {self._root}: {error}") from error

    def close(self) -> None:
        """Seal all segments; the writer may be used again and then starts new ones.

        Raises:
            LogWriteError: what was appended could not be synced.
        """
        try:
            if self._durable:
                sync = self.begin_sync()
                sync.run()
                self.end_sync(sync)
        finally:
            while self._open:
                self._leave(next(iter(self._open)))

    def _segment(self, day: date) -> _Segment:
        segment = self._open.get(day)
        if segment is not None and segment.size < self._segment_bytes and not self._is_old(segment):
            self._open.move_to_end(day)
            return segment
        for other in [each for each, open_one in self._open.items() if self._is_old(open_one)]:
            self._leave(other)
        if day in self._open:
            self._leave(day)
        while len(self._open) >= OPEN_DAYS:
            self._leave(next(iter(self._open)))
        segment = self._open[day] = self._created(day_folder(self._root, day))
        return segment

    def _is_old(self, segment: _Segment) -> bool:
        return self._clock() - segment.started >= SEGMENT_SECONDS

    def _created(self, folder: Path) -> _Segment:
        folder.mkdir(parents=True, exist_ok=True)
        started = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        path = folder / f"{started}-{os.getpid()}-{uuid4().hex[:8]}.log"
        descriptor = self._files.create(path)
        # Marked once it is locked: recovery never takes one that is just beginning for an abandoned one.
        try:
            self._files.mark(marker(path), self._files.boot_id)
        except OSError:
            self._files.remove(path)
            self._files.remove(marker(path))
            self._files.close(descriptor)
            raise
        return _Segment(descriptor, path, self._clock())

    def _write(self, day: date, segment: _Segment, content: bytes) -> None:
        if segment.size == 0:
            content = HEADER + content
        try:
            written = self._files.write(segment.descriptor, content)
            while written < len(content):
                written += self._files.write(segment.descriptor, content[written:])
        except OSError:
            # A torn record in the middle would hide the records after it.
            try:
                self._files.truncate(segment.descriptor, segment.size)
            except OSError:
                segment.is_torn = True
                raise
            finally:
                self._leave(day)
            raise
        segment.size += len(content)

    def _leave(self, day: date) -> None:
        """Append to a segment no more."""
        segment = self._open.pop(day)
        if self._durable and not segment.is_synced:
            self._leaving.append(segment)
        else:
            self._seal(segment)

    def _seal(self, segment: _Segment) -> None:
        # A torn one stays marked as open, so that `recover` cuts what could not be cut here.
        if not segment.is_torn:
            if segment.size == 0:
                self._files.remove(segment.path)
            self._files.remove(marker(segment.path))
        self._files.close(segment.descriptor)

    def _abandon(self, segment: _Segment) -> None:
        """Leave a segment that could not be synced to `recover`, without what was not acknowledged."""
        if segment in self._leaving:
            self._leaving.remove(segment)
        for day in [each for each, open_one in self._open.items() if open_one is segment]:
            del self._open[day]
        with suppress(OSError):  # it stays marked as open: what is left of its end is not trusted
            self._files.truncate(segment.descriptor, segment.synced_size)
        self._files.close(segment.descriptor)
