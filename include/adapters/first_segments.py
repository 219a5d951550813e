"""Segments of the first format, which nobody writes any more: read as they are, never changed.

Records are u32 length, u32 CRC-32 of the payload, payload. Nothing protects the length, and no `.open` tells
that a segment is being written: a broken last record is what a killed writer left, a broken one before it is
damage.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from include.contracts.errors import DataError

HEADER = b"NINETYLG" + struct.pack("<I", 1)
_FRAME = struct.Struct("<II")


def records(content: bytes, path: Path) -> Iterator[tuple[int, int]]:
    """Yield where each payload starts and ends, up to a torn tail.

    Raises:
        DataError: a record that is followed by others is damaged.
    """
    offset = len(HEADER)
    while offset + _FRAME.size <= len(content):
        length, checksum = _FRAME.unpack_from(content, offset)
        start, end = offset + _FRAME.size, offset + _FRAME.size + length
        if end > len(content):
            return
        if crc32(memoryview(content)[start:end]) != checksum:
            if end == len(content):
                return
            raise DataError(f"{path}: the record at byte {offset} is damaged; restore the file")
        yield start, end
        offset = end
