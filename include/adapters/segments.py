"""Append-only logs of framed records in segments, one folder a day of event time.

A segment is a header (eight bytes of magic, a u32 format version) followed by records: u32 length,
u32 CRC-32 of the payload, payload; all little endian. A writer starts segments of its own, holds
`flock` on each it has open, and appends a batch with one write: what a killed writer leaves is a whole
number of records and at most one torn tail, which readers skip and `recover` cuts off.

root/day=2017-11-01/20171101T090000.000000Z-4711-1f0c9a2b.log
"""

import fcntl
import os
import struct
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4
from zlib import crc32

from include.contracts.errors import DataError, LogWriteError

MAGIC = b"NINETYLG"
FORMAT_VERSION = 1
HEADER = MAGIC + struct.pack("<I", FORMAT_VERSION)
OPEN_DAYS = 8
"""Days a writer keeps a segment open for; a replay walks through more."""

_FRAME = struct.Struct("<II")
_PREFIX = "day="


@dataclass(frozen=True)
class Recovery:
    """What `recover` found."""

    segments: int
    torn_tails: int
    bytes_removed: int


@dataclass
class _Segment:
    descriptor: int
    path: Path
    size: int


class SegmentWriter:
    """One process's writer; not for use by several threads at once."""

    def __init__(self, root: Path, segment_bytes: int) -> None:
        self._root = root
        self._segment_bytes = segment_bytes
        self._open: OrderedDict[date, _Segment] = OrderedDict()

    def append(self, day: date, payloads: Sequence[bytes]) -> int:
        """Write records with one system call; they survive this process once it returns.

        Returns:
            Bytes written.

        Raises:
            LogWriteError: the disk is full or the folder cannot be written; nothing of the batch stays.
        """
        content = b"".join(map(_framed, payloads))
        try:
            segment = self._segment(day)
            self._write(day, segment, content)
        except OSError as error:
            raise LogWriteError(f"cannot append to the log in {self._root}: {error}") from error
        return len(content)

    def close(self) -> None:
        """Close all segments; the writer may be used again and then starts new ones."""
        while self._open:
            _, segment = self._open.popitem()
            os.close(segment.descriptor)

    def _segment(self, day: date) -> _Segment:
        segment = self._open.get(day)
        if segment is not None and segment.size < self._segment_bytes:
            self._open.move_to_end(day)
            return segment
        if segment is not None:
            self._drop(day)
        while len(self._open) >= OPEN_DAYS:
            self._drop(next(iter(self._open)))
        segment = self._open[day] = _created(self._root / f"{_PREFIX}{day.isoformat()}")
        return segment

    def _drop(self, day: date) -> None:
        os.close(self._open.pop(day).descriptor)

    def _write(self, day: date, segment: _Segment, content: bytes) -> None:
        if segment.size == 0:
            content = HEADER + content
        try:
            written = os.write(segment.descriptor, content)
            while written < len(content):
                written += os.write(segment.descriptor, content[written:])
        except OSError:
            # A torn record in the middle would hide the records after it.
            try:
                os.ftruncate(segment.descriptor, segment.size)
            finally:
                self._drop(day)
            raise
        segment.size += len(content)


def read_payloads(path: Path) -> Iterator[bytes]:
    """Yield the payloads of a segment up to its torn tail, if it has one.

    Raises:
        DataError: the file is not a segment, or a record that is followed by others is damaged.
    """
    content = path.read_bytes()
    for start, end in _records(content, path):
        yield content[start:end]


def segments(root: Path, start: datetime | None = None, end: datetime | None = None) -> list[Path]:
    """Return the segments of the days that overlap [start, end), oldest day first."""
    first = f"{_PREFIX}{start.astimezone(UTC).date().isoformat()}" if start else _PREFIX
    last = f"{_PREFIX}{end.astimezone(UTC).date().isoformat()}" if end else f"{_PREFIX}~"
    days = sorted(path for path in root.glob(f"{_PREFIX}*") if first <= path.name <= last)
    return [segment for day in days for segment in sorted(day.glob("*.log"))]


def recover(root: Path) -> Recovery:
    """Cut the torn tails off segments whose writer is gone; those of live writers stay untouched.

    Raises:
        DataError: a segment is damaged before its tail, which no killed writer causes.
    """
    removed = [_cut_tail(path) for path in segments(root)]
    return Recovery(
        segments=len(removed), torn_tails=sum(count > 0 for count in removed), bytes_removed=sum(removed)
    )


def _framed(payload: bytes) -> bytes:
    return _FRAME.pack(len(payload), crc32(payload)) + payload


def _created(folder: Path) -> _Segment:
    folder.mkdir(parents=True, exist_ok=True)
    started = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    path = folder / f"{started}-{os.getpid()}-{uuid4().hex[:8]}.log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return _Segment(descriptor, path, 0)


def _records(content: bytes, path: Path) -> Iterator[tuple[int, int]]:
    """Yield where each payload starts and ends, up to a torn tail."""
    if len(content) < len(HEADER):
        return
    if not content.startswith(HEADER):
        raise DataError(f"{path} is not a log segment of format {FORMAT_VERSION}")
    offset = len(HEADER)
    while offset + _FRAME.size <= len(content):
        length, checksum = _FRAME.unpack_from(content, offset)
        start, end = offset + _FRAME.size, offset + _FRAME.size + length
        if length == 0 or end > len(content):
            return
        if crc32(memoryview(content)[start:end]) != checksum:
            if end < len(content):
                raise DataError(f"{path}: the record at byte {offset} is damaged; restore the file")
            return
        yield start, end
        offset = end


def _whole_bytes(content: bytes, path: Path) -> int:
    size = len(HEADER) if len(content) >= len(HEADER) else 0
    for _, end in _records(content, path):
        size = end
    return size


def _cut_tail(path: Path) -> int:
    """Return how many bytes were cut; none where a live writer holds the segment."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        content = path.read_bytes()
        whole = _whole_bytes(content, path)
        if whole < len(content):
            os.ftruncate(descriptor, whole)
        return len(content) - whole
    except BlockingIOError:
        return 0
    finally:
        os.close(descriptor)
