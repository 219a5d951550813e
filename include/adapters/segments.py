"""Append-only logs of framed records in segments, one folder a day of event time.

A segment is a header (eight bytes of magic, a u32 format version) followed by records: u32 length, u32
CRC-32 of the payload, u32 CRC-32 of the eight bytes before it, payload; all little endian. A writer starts
segments of its own, holds `flock` on each it has open, and appends a batch with one write: what a killed
writer leaves is a whole number of records and at most one torn tail. Beside the segment lie, by the same
name, `.open` until it is sealed, `.torn` with what `recover` cut off, and `.damaged` where it found damage.
A segment without `.open` is sealed: whatever is wrong in it is damage.

`.open` holds the boot id of the machine the segment was begun on. Where the machine went down since, what no
sync had reached may be there in parts, with gaps: all from the first broken record on is then the torn tail.

root/day=2017-11-01/20171101T090000.000000Z-4711-1f0c9a2b.log
"""

import fcntl
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum, auto
from pathlib import Path
from zlib import crc32

from include.adapters import first_segments
from include.adapters.file_system import FILES
from include.adapters.files import write_atomically
from include.contracts.errors import DataError

MAGIC = b"NINETYLG"
FORMAT_VERSION = 2
HEADER = MAGIC + struct.pack("<I", FORMAT_VERSION)
_LENGTH = struct.Struct("<II")
_FRAME = struct.Struct("<III")
_PREFIX = "day="


class _State(Enum):
    """What the end of a segment may look like."""

    SEALED = auto()
    """Whole."""
    OPEN = auto()
    """One record may be torn."""
    LOST_POWER = auto()
    """Anything may follow the first torn record: the machine went down before it was sealed."""


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


def read_payloads(path: Path) -> Iterator[bytes]:
    """Yield the payloads of a segment; one that is still open may have a torn tail, which is skipped.

    Raises:
        DataError: the file is not a segment, or it is damaged; what lies before the damage was yielded.
    """
    state = _state(path)
    content = path.read_bytes()
    # A writer that had just begun the segment may have marked it only now.
    state = _state(path) if state is _State.SEALED else state
    for start, end in _records(content, path, state):
        yield content[start:end]


def day_folder(root: Path, day: date) -> Path:
    """Return the folder of a day's segments."""
    return root / f"{_PREFIX}{day.isoformat()}"


def days(root: Path) -> list[date]:
    """Return the days there are segments of, in order."""
    return sorted(date.fromisoformat(path.name.removeprefix(_PREFIX)) for path in root.glob(f"{_PREFIX}*"))


def segments_of(root: Path, day: date) -> list[Path]:
    """Return the segments of a day, oldest first."""
    return sorted(day_folder(root, day).glob("*.log"))


def segments(root: Path, start: datetime | None = None, end: datetime | None = None) -> list[Path]:
    """Return the segments of the days that overlap [start, end), oldest day first."""
    first = f"{_PREFIX}{start.astimezone(UTC).date().isoformat()}" if start else _PREFIX
    last = f"{_PREFIX}{end.astimezone(UTC).date().isoformat()}" if end else f"{_PREFIX}~"
    folders = sorted(path for path in root.glob(f"{_PREFIX}*") if first <= path.name <= last)
    return [segment for folder in folders for segment in sorted(folder.glob("*.log"))]


def unsealed(root: Path) -> list[Path]:
    """Return the segments that are being written, or whose writer was killed."""
    return sorted(marker.with_suffix(".log") for marker in root.glob(f"{_PREFIX}*/*.open"))


def is_whole(path: Path) -> bool:
    """Say whether a segment is sealed and was not found damaged."""
    return not marker(path).exists() and not path.with_suffix(".damaged").exists()


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


def marker(path: Path) -> Path:
    """Return the file that says a segment is not sealed yet, and on which run of the machine it was begun."""
    return path.with_suffix(".open")


def framed(payload: bytes) -> bytes:
    """Return a payload as the record that is written."""
    head = _LENGTH.pack(len(payload), crc32(payload))
    return head + crc32(head).to_bytes(4, "little") + payload


def _state(path: Path) -> _State:
    try:
        boot_id = marker(path).read_text(encoding="ascii")
    except FileNotFoundError:
        return _State.SEALED
    return _State.OPEN if boot_id in ("", FILES.boot_id) else _State.LOST_POWER


def _records(content: bytes, path: Path, state: _State) -> Iterator[tuple[int, int]]:
    """Yield where each payload starts and ends, up to the torn tail an open segment may have."""
    if content.startswith(first_segments.HEADER):
        yield from first_segments.records(content, path)
        return
    if not content.startswith(HEADER):
        # Nothing was acknowledged before the header was whole.
        begun = state is _State.LOST_POWER or (state is _State.OPEN and len(content) < len(HEADER))
        if content and not begun:
            raise DataError(f"{path} is not a log segment of format {FORMAT_VERSION}")
        return
    offset = len(HEADER)
    while offset < len(content):
        end = _record_end(content, offset)
        if end is None:
            if _may_be_torn(content, offset, state):
                return
            raise DataError(f"{path}: the record at byte {offset} is damaged; restore the file")
        yield offset + _FRAME.size, end
        offset = end


def _may_be_torn(content: bytes, offset: int, state: _State) -> bool:
    """Say whether a broken record can be one that nobody was told of."""
    if state is _State.OPEN:
        return not _has_record_after(content, offset)
    return state is _State.LOST_POWER


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


def _whole_bytes(content: bytes, path: Path, state: _State) -> int:
    size = len(HEADER) if content.startswith(HEADER) else 0
    for _, end in _records(content, path, state):
        size = end
    return size


def _sealed(path: Path) -> int | str:
    """Seal a segment; return the bytes cut off, none of a live writer's, or what is wrong with it."""
    state = _state(path)
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        marker(path).unlink(missing_ok=True)
        return 0
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        removed = _cut_tail(descriptor, path, state)
        # Sealed means whole: before the mark goes, the bytes are on the disk.
        os.fsync(descriptor)
    except BlockingIOError:
        return 0
    except DataError as error:
        marker(path).rename(path.with_suffix(".damaged"))
        return str(error)
    finally:
        os.close(descriptor)
    marker(path).unlink(missing_ok=True)
    return removed


def _cut_tail(descriptor: int, path: Path, state: _State) -> int:
    content = path.read_bytes()
    whole = _whole_bytes(content, path, state)
    if whole < len(content):
        write_atomically(path.with_suffix(".torn"), content[whole:])
        os.ftruncate(descriptor, whole)
    return len(content) - whole
