"""Append-only logs of framed records in segments, one folder a day of event time.

A segment is a header (eight bytes of magic, a u32 format version) followed by records: u32 length, u32
CRC-32 of the payload, u32 CRC-32 of the eight bytes before it, payload; all little endian. A writer starts
segments of its own, holds `flock` on each it has open, and appends a batch with one write: what a killed
writer leaves is a whole number of records and at most one torn tail. Beside the segment lie, by the same
name, `.open` until it is sealed, `.torn` with what `recover` cut off, and `.damaged` where it found damage.
A segment without `.open` is sealed: whatever is wrong in it is damage.

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

from include.adapters.files import write_atomically
from include.contracts.errors import DataError, LogWriteError

MAGIC = b"NINETYLG"
FORMAT_VERSION = 2
HEADER = MAGIC + struct.pack("<I", FORMAT_VERSION)
OPEN_DAYS = 8
"""Days a writer keeps a segment open for; a replay walks through more."""

_LENGTH = struct.Struct("<II")
_FRAME = struct.Struct("<III")
_PREFIX = "day="


@dataclass(frozen=True)
class Recovery:
    """What `recover` found."""

    segments: int
    """Segments that were left open; sealed ones are not looked at."""
    torn_tails: int
    bytes_removed: int
    """They lie in `.torn` files beside their segments."""
    damaged: tuple[str, ...] = ()
    """What is wrong, by damaged segment; they are left as they are, and reading them raises."""


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
        """Seal all segments; the writer may be used again and then starts new ones."""
        while self._open:
            self._seal(next(iter(self._open)))

    def _segment(self, day: date) -> _Segment:
        segment = self._open.get(day)
        if segment is not None and segment.size < self._segment_bytes:
            self._open.move_to_end(day)
            return segment
        if segment is not None:
            self._seal(day)
        while len(self._open) >= OPEN_DAYS:
            self._seal(next(iter(self._open)))
        segment = self._open[day] = _created(self._root / f"{_PREFIX}{day.isoformat()}")
        return segment

    def _seal(self, day: date) -> None:
        segment = self._open.pop(day)
        _marker(segment.path).unlink(missing_ok=True)
        os.close(segment.descriptor)

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
            except OSError:
                # It stays marked as open, so that `recover` cuts what could not be cut here.
                os.close(self._open.pop(day).descriptor)
                raise
            self._seal(day)
            raise
        segment.size += len(content)


def read_payloads(path: Path) -> Iterator[bytes]:
    """Yield the payloads of a segment; one that is still open may have a torn tail, which is skipped.

    Raises:
        DataError: the file is not a segment, or it is damaged; what lies before the damage was yielded.
    """
    is_open = _marker(path).exists()
    content = path.read_bytes()
    # A writer that had just begun the segment may have marked it only now.
    is_open = is_open or _marker(path).exists()
    for start, end in _records(content, path, is_open=is_open):
        yield content[start:end]


def segments(root: Path, start: datetime | None = None, end: datetime | None = None) -> list[Path]:
    """Return the segments of the days that overlap [start, end), oldest day first."""
    first = f"{_PREFIX}{start.astimezone(UTC).date().isoformat()}" if start else _PREFIX
    last = f"{_PREFIX}{end.astimezone(UTC).date().isoformat()}" if end else f"{_PREFIX}~"
    days = sorted(path for path in root.glob(f"{_PREFIX}*") if first <= path.name <= last)
    return [segment for day in days for segment in sorted(day.glob("*.log"))]


def unsealed(root: Path) -> list[Path]:
    """Return the segments that are being written, or whose writer was killed."""
    return sorted(marker.with_suffix(".log") for marker in root.glob(f"{_PREFIX}*/*.open"))


def recover(root: Path) -> Recovery:
    """Seal the segments whose writer is gone, torn tails set aside; those of live writers stay untouched.

    A segment that is damaged before its tail, which no killed writer causes, is reported and left alone.
    """
    found = [_sealed(path) for path in unsealed(root)]
    tails = [tail for tail in found if isinstance(tail, int)]
    return Recovery(
        segments=len(found),
        torn_tails=sum(tail > 0 for tail in tails),
        bytes_removed=sum(tails),
        damaged=tuple(damage for damage in found if isinstance(damage, str)),
    )


def _marker(path: Path) -> Path:
    return path.with_suffix(".open")


def _framed(payload: bytes) -> bytes:
    head = _LENGTH.pack(len(payload), crc32(payload))
    return head + crc32(head).to_bytes(4, "little") + payload


def _created(folder: Path) -> _Segment:
    folder.mkdir(parents=True, exist_ok=True)
    started = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    path = folder / f"{started}-{os.getpid()}-{uuid4().hex[:8]}.log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    # Marked once it is locked: recovery never takes a segment that is just beginning for an abandoned one.
    try:
        _marker(path).touch(mode=0o600)
    except OSError:
        os.close(descriptor)
        raise
    return _Segment(descriptor, path, 0)


def _records(content: bytes, path: Path, *, is_open: bool) -> Iterator[tuple[int, int]]:
    """Yield where each payload starts and ends, up to the torn tail an open segment may have."""
    if not content.startswith(HEADER):
        # Nothing was acknowledged before the header was whole.
        if content and not (is_open and len(content) < len(HEADER)):
            raise DataError(f"{path} is not a log segment of format {FORMAT_VERSION}")
        return
    offset = len(HEADER)
    while offset < len(content):
        end = _record_end(content, offset)
        if end is None:
            if is_open and not _has_record_after(content, offset):
                return
            raise DataError(f"{path}: the record at byte {offset} is damaged; restore the file")
        yield offset + _FRAME.size, end
        offset = end


def _record_end(content: bytes, offset: int) -> int | None:
    """Return where the record at an offset ends; None where no whole record lies."""
    start = offset + _FRAME.size
    if start > len(content):
        return None
    length, checksum, head_checksum = _FRAME.unpack_from(content, offset)
    end = start + int(length)
    if length == 0 or end > len(content):
        return None
    if crc32(content[offset : offset + _LENGTH.size]) != head_checksum:
        return None
    return end if crc32(memoryview(content)[start:end]) == checksum else None


def _has_record_after(content: bytes, offset: int) -> bool:
    """Say whether a whole record follows: a killed writer leaves nothing behind a torn one."""
    return any(_record_end(content, place) for place in range(offset + 1, len(content) - _FRAME.size))


def _whole_bytes(content: bytes, path: Path) -> int:
    size = len(HEADER) if len(content) >= len(HEADER) else 0
    for _, end in _records(content, path, is_open=True):
        size = end
    return size


def _sealed(path: Path) -> int | str:
    """Seal a segment; return the bytes cut off, none of a live writer's, or what is wrong with it."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        _marker(path).unlink(missing_ok=True)
        return 0
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        removed = _cut_tail(descriptor, path)
    except BlockingIOError:
        return 0
    except DataError as error:
        _marker(path).rename(path.with_suffix(".damaged"))
        return str(error)
    finally:
        os.close(descriptor)
    _marker(path).unlink(missing_ok=True)
    return removed


def _cut_tail(descriptor: int, path: Path) -> int:
    content = path.read_bytes()
    whole = _whole_bytes(content, path)
    if whole < len(content):
        write_atomically(path.with_suffix(".torn"), content[whole:])
        os.ftruncate(descriptor, whole)
    return len(content) - whole
