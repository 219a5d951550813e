"""UUIDv7 (RFC 9562, section 5.7): identifiers that carry the event time they belong to."""

import os
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from threading import Lock
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_VERSION = 7
_VARIANT = 0b10
_TIME_BITS = 48
_RANDOM_BITS = 74
_RAND_B_BITS = 62
_RAND_B_MASK = (1 << _RAND_B_BITS) - 1


class _Sequence:
    """Random tails that rise while the millisecond stays the same."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._millisecond = -1
        self._tail = 0

    def next_tail(self, millisecond: int) -> int:
        with self._lock:
            if millisecond == self._millisecond:
                self._tail += 1
            else:
                # The top bit starts at zero, so that a burst within a millisecond has room to rise.
                self._tail = int.from_bytes(os.urandom(10), "big") >> (80 - _RANDOM_BITS + 1)
                self._millisecond = millisecond
            return self._tail


_sequence = _Sequence()


def uuid7(at: datetime) -> str:
    """Return a UUIDv7 whose time is `at`; within a process, ids of equal times sort as they were made.

    Raises:
        ValueError: `at` has no zone, or lies outside what 48 bits of milliseconds since 1970 hold.
    """
    millisecond = _millisecond_of(at)
    return _identifier(millisecond, _sequence.next_tail(millisecond))


def derived_uuid7(at: datetime, name: str) -> str:
    """Return the UUIDv7 of a thing with a name: the same time and name give the same id.

    Its random bits are the first 74 of SHA-256 over the name (UTF-8).

    Raises:
        ValueError: as `uuid7`.
    """
    digest = sha256(name.encode()).digest()[:10]
    return _identifier(_millisecond_of(at), int.from_bytes(digest, "big") >> (80 - _RANDOM_BITS))


def time_of(identifier: str) -> datetime:
    """Return the moment a UUIDv7 carries, in UTC and whole milliseconds.

    Raises:
        ValueError: the text is not a UUIDv7.
    """
    try:
        parsed = UUID(identifier)
    except ValueError:
        raise ValueError(f"{identifier!r} is not a UUID") from None
    if parsed.version != _VERSION:
        raise ValueError(f"{identifier!r} is a UUID, but not one of version 7, which carries a time")
    try:
        return _EPOCH + (parsed.int >> (128 - _TIME_BITS)) * _MILLISECOND
    except OverflowError:
        raise ValueError(f"{identifier!r} carries a time after the year 9999") from None


def _millisecond_of(at: datetime) -> int:
    if at.tzinfo is None:
        raise ValueError(f"{at} has no zone; ids are made from aware times")
    millisecond = (at - _EPOCH) // _MILLISECOND
    if not 0 <= millisecond < 1 << _TIME_BITS:
        raise ValueError(f"{at} lies outside the times a UUIDv7 can carry")
    return millisecond


def _identifier(millisecond: int, tail: int) -> str:
    high = (millisecond << 16) | (_VERSION << 12) | (tail >> _RAND_B_BITS)
    low = (_VARIANT << _RAND_B_BITS) | (tail & _RAND_B_MASK)
    digits = f"{high:016x}{low:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
