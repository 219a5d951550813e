"""The prediction log: every attempt to predict, appended before it is answered."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from include.adapters.segments import Recovery, SegmentWriter, read_payloads, segments
from include.adapters.segments import recover as recover_segments
from include.contracts.identifiers import time_of
from include.contracts.predictions import PredictionRow

_decode = msgspec.msgpack.Decoder(PredictionRow).decode


class PredictionLog:
    """One process's writer, partitioned by the UTC day of `predicted_at`."""

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        self._writer = SegmentWriter(folder, segment_bytes)
        self._encode = msgspec.msgpack.Encoder().encode

    def append(self, rows: Sequence[PredictionRow]) -> int:
        """Append rows, one write a day among them; they survive a killed process once it returns.

        Returns:
            Bytes written.

        Raises:
            LogWriteError: the rows of a day could not be written; none of that day's rows is in the log.
        """
        by_day: defaultdict[date, list[bytes]] = defaultdict(list)
        for row in rows:
            by_day[row.predicted_at.astimezone(UTC).date()].append(self._encode(row))
        return sum(self._writer.append(day, payloads) for day, payloads in by_day.items())

    def close(self) -> None:
        """Close the segments."""
        self._writer.close()


def recover(folder: Path) -> Recovery:
    """Seal what killed writers left open, torn tails set aside; called before a writer starts."""
    return recover_segments(folder)


def read(folder: Path, start: datetime | None = None, end: datetime | None = None) -> Iterator[PredictionRow]:
    """Yield the rows with `predicted_at` in [start, end), day by day; None leaves a side open.

    Raises:
        DataError: a segment is damaged before its tail.
    """
    for path in segments(folder, start, end):
        for payload in read_payloads(path):
            row = _decode(payload)
            if (start is None or start <= row.predicted_at) and (end is None or row.predicted_at < end):
                yield row


def find(folder: Path, prediction_id: str) -> PredictionRow | None:
    """Return the row of a prediction; only the day its id carries is read.

    Raises:
        ValueError: the id is not a UUIDv7.
        DataError: a segment is damaged before its tail.
    """
    moment = time_of(prediction_id)
    needle = prediction_id.encode()
    for path in segments(folder, moment, moment):
        for payload in read_payloads(path):
            if needle in payload and (row := _decode(payload)).prediction_id == prediction_id:
                return row
    return None
