"""HTTP/2's frames and headers (RFC 9113, RFC 7541), as far as a client that calls one server needs them.

The client allows the server no dynamic table for its headers. Blocks then have no memory, the same block
always says the same, and what a server repeats in every answer is decoded once.
"""

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from hpack import Decoder, HPACKError

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
FRAME_BYTES = 16_384
"""Longest payload a peer must take, and may send unless it was allowed more."""
FRAME_BYTES_MOST = 2**24 - 1
"""Longest payload that a frame can say."""
WINDOW = 65_535
"""What may be sent before the other side has said how much."""
WINDOW_MOST = 2**31 - 1
STREAM_MOST = 2**31 - 1

# Flags; what one means depends on the frame.
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY = 0x20

_HEAD = struct.Struct(">HBBBI")
_SETTING = struct.Struct(">HI")
_WORD = struct.Struct(">I")
_RESERVED = 0x7FFF_FFFF
_SEVEN_BITS = 0x7F
_GOES_ON = 0x80
_LONGEST_TEXT = 1 << 14


class ProtocolError(Exception):
    """The server broke the rules of HTTP/2; the connection is of no use any more."""


class Kind(IntEnum):
    """Types of frames."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RESET = 3
    SETTINGS = 4
    PUSH = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Setting(IntEnum):
    """What one side tells the other about itself."""

    HEADER_TABLE = 1
    PUSH = 2
    CONCURRENT_STREAMS = 3
    INITIAL_WINDOW = 4
    FRAME_BYTES = 5


class Frame(NamedTuple):
    """One frame."""

    kind: int
    flags: int
    stream: int
    payload: bytes


class FrameReader:
    """Frames out of bytes that come in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def read(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are whole now.

        Raises:
            ProtocolError: a frame is longer than was allowed.
        """
        data = self._rest + data if self._rest else data
        self._rest = b""
        start, size = 0, len(data)
        while size - start >= HEAD_BYTES:
            high, low, kind, flags, stream = _HEAD.unpack_from(data, start)
            length = high << 8 | low
            if length > FRAME_BYTES:
                raise ProtocolError(f"a frame of {length} bytes, {FRAME_BYTES} are allowed")
            end = start + HEAD_BYTES + length
            if end > size:
                break
            yield Frame(kind, flags, stream & _RESERVED, data[start + HEAD_BYTES : end])
            start = end
        self._rest = data[start:]


def frame(kind: Kind, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame as it is sent."""
    length = len(payload)
    return _HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream) + payload


def data_frames(stream: int, body: bytes, size: int, *, is_last: bool) -> bytes:
    """Return a body as frames of up to `size` bytes; the last one ends the stream where the body does."""
    end = END_STREAM if is_last else 0
    if len(body) <= size:
        return frame(Kind.DATA, end, stream, body)
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    frames = [frame(Kind.DATA, 0, stream, part) for part in parts[:-1]]
    return b"".join([*frames, frame(Kind.DATA, end, stream, parts[-1])])


def settings(values: Iterable[tuple[Setting, int]]) -> bytes:
    """Return the frame that tells settings."""
    payload = b"".join(_SETTING.pack(name, value) for name, value in values)
    return frame(Kind.SETTINGS, 0, 0, payload)


def settings_of(payload: bytes) -> list[tuple[int, int]]:
    """Return what a frame of settings tells, in its order.

    Raises:
        ProtocolError: it has no whole number of settings.
    """
    if len(payload) % _SETTING.size:
        raise ProtocolError("a frame of settings is torn")
    return list(_SETTING.iter_unpack(payload))


def word(value: int) -> bytes:
    """Return a number as frames carry it."""
    return _WORD.pack(value)


def word_of(payload: bytes, offset: int = 0) -> int:
    """Return the number a frame carries, its reserved bit left out.

    Raises:
        ProtocolError: the frame is too short for one.
    """
    if len(payload) < offset + _WORD.size:
        raise ProtocolError("a frame is too short")
    found: int = _WORD.unpack_from(payload, offset)[0]
    return found & _RESERVED


def content_of(received: Frame) -> bytes:
    """Return what a frame of data or headers holds, without padding and priority.

    Raises:
        ProtocolError: it is padded by more than it holds.
    """
    _, flags, _, payload = received
    if not flags & (PADDED | PRIORITY):
        return payload
    start, end = 0, len(payload)
    if flags & PADDED:
        start, end = 1, end - (payload[0] if payload else end)
    if received.kind == Kind.HEADERS and flags & PRIORITY:
        start += 5
    if start > end:
        raise ProtocolError("a frame is padded by more than it holds")
    return payload[start:end]


def literal(name: bytes, value: bytes) -> bytes:
    """Return a header that no table remembers, as the encoder of RFC 7541, 6.2.2 would.

    Raises:
        ValueError: the name or the value is longer than one byte can say; both are ours.
    """
    return b"\x00" + _text(name) + _text(value)


def _text(text: bytes) -> bytes:
    if len(text) >= _LONGEST_TEXT:
        raise ValueError(f"a header of {len(text)} bytes is too long")
    if len(text) < _SEVEN_BITS:
        return bytes((len(text),)) + text
    rest = len(text) - _SEVEN_BITS
    length = bytearray((_SEVEN_BITS,))
    while rest >= _GOES_ON:
        length.append(rest & _SEVEN_BITS | _GOES_ON)
        rest >>= 7
    length.append(rest)
    return bytes(length) + text


@lru_cache(maxsize=256)
def headers_of(block: bytes) -> dict[str, str]:
    """Return the headers of a block whose encoder has no dynamic table.

    Raises:
        ProtocolError: it is no such block.
    """
    try:
        return {str(name): str(value) for name, value in Decoder().decode(block)}
    except (HPACKError, UnicodeDecodeError) as error:
        raise ProtocolError(f"headers cannot be decoded: {error}") from error
