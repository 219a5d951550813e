"""The prediction log: every attempt to predict, appended before it is answered."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import chain, islice
from pathlib import Path

import msgspec

from include.adapters.compacted_log import CompactedLog
from include.adapters.file_system import FILES, FileSystem
from include.adapters.group_commit import GroupCommit
from include.adapters.logged_day import LoggedDay
from include.adapters.reading_lock import reading
from include.adapters.segment_writer import Lag, SegmentWriter
from include.adapters.segments import Recovery, days
from include.adapters.segments import recover as recover_segments
from include.config.settings import LogDurability
from include.contracts.identifiers import time_of
from include.contracts.predictions import PredictionRow


class PredictionLog:
    """One process's writer, partitioned by the UTC day of `predicted_at`."""

    def __init__(
        self,
        folder: Path,
        segment_bytes: int,
        durability: LogDurability = LogDurability.OS,
        *,
        files: FileSystem = FILES,
    ) -> None:
        self._writer = SegmentWriter(
            folder, segment_bytes, durable=durability is LogDurability.DISK, files=files
        )
        self._commit = GroupCommit(self._writer) if durability is LogDurability.DISK else None
        self._encode = msgspec.msgpack.Encoder().encode

    @property
    def lag(self) -> Lag:
        """Rows and bytes that were appended and are not as durable as they shall be."""
        return self._writer.lag

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

    def settling(self) -> "asyncio.Future[None] | None":
        """Return a future of what was appended being on the disk; None under `os`, which asks for less.

        To be called in the same step of the event loop as the append it is about. It raises LogWriteError:
        then none of the rows may be answered for.
        """
        return None if self._commit is None else self._commit.settling()

    def close(self) -> None:
        """Sync what is to be synced and close the segments.

        Raises:
            LogWriteError: rows could not be synced.
        """
        if self._commit is not None:
            self._commit.close()
        self._writer.close()


def recover(folder: Path) -> Recovery:
    """Seal what killed writers left open, torn tails set aside; called before a writer starts."""
    return recover_segments(folder)


def read(folder: Path, start: datetime | None = None, end: datetime | None = None) -> Iterator[PredictionRow]:
    """Yield the rows with `predicted_at` in [start, end), day by day; None leaves a side open.

    Raises:
        DataError: a segment is damaged before its tail, or a compacted file is.
    """
    with reading(folder):
        for day in _days(folder, start, end):
            for row in day.rows():
                if (start is None or start <= row.predicted_at) and (end is None or row.predicted_at < end):
                    yield row


def ids_of_request(folder: Path, request_id: str, moment: datetime) -> frozenset[str]:
    """Return the prediction ids a request has in the log at a moment of event time.

    Raises:
        DataError: what is logged of that day is damaged.
    """
    with reading(folder):
        return frozenset(
            found for day in _days(folder, moment, moment) for found in day.ids_of_request(request_id, moment)
        )


def latest(
    folder: Path,
    start: datetime,
    end: datetime,
    wanted: Callable[[PredictionRow], bool],
    *,
    most: int,
    looked_at: int,
) -> list[PredictionRow]:
    """Return up to `most` wanted rows with `predicted_at` in [start, end), the latest parts of the log first.

    Work is bounded: no more than `looked_at` rows are looked at, wanted or not.

    Raises:
        DataError: a segment is damaged before its tail, or a compacted file is.
    """
    found: list[PredictionRow] = []
    with reading(folder):
        parts = (part for day in reversed(_days(folder, start, end)) for part in day.latest_parts())
        for row in islice(chain.from_iterable(parts), looked_at):
            if start <= row.predicted_at < end and wanted(row):
                found.append(row)
            if len(found) >= most:
                break
    return found


def find(folder: Path, prediction_id: str) -> PredictionRow | None:
    """Return the row of a prediction; only the day its id carries is read.

    Raises:
        ValueError: the id is not a UUIDv7.
        DataError: it was not found, and a part of its day is damaged.
    """
    return find_all(folder, [prediction_id]).get(prediction_id)


def find_all(folder: Path, prediction_ids: Iterable[str]) -> dict[str, PredictionRow]:
    """Return the rows of predictions by id; every day their ids carry is read once.

    Raises:
        ValueError: an id is not a UUIDv7.
        DataError: one was not found, and a part of its day is damaged.
    """
    by_day: defaultdict[date, set[str]] = defaultdict(set)
    for prediction_id in prediction_ids:
        by_day[time_of(prediction_id).date()].add(prediction_id)
    with reading(folder):
        return {
            row.prediction_id: row
            for day, wanted in by_day.items()
            for row in LoggedDay(folder, day).find(wanted)
        }


def _days(folder: Path, start: datetime | None, end: datetime | None) -> list[LoggedDay]:
    """Return the days that overlap [start, end)."""
    first = start.astimezone(UTC).date() if start else date.min
    last = end.astimezone(UTC).date() if end else date.max
    known = sorted({*days(folder), *CompactedLog(folder).days()})
    return [LoggedDay(folder, day) for day in known if first <= day <= last]
