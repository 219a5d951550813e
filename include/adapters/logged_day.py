"""One day of the prediction log: what is compacted of it, and the segments that are not; each row once."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from include.adapters.compacted_log import CompactedFile, CompactedLog
from include.adapters.segments import read_payloads, segments_of
from include.contracts.errors import DataError
from include.contracts.predictions import PredictionRow

if TYPE_CHECKING:
    from include.adapters.compacted_files import CompactedFiles


class _Identified(msgspec.Struct):
    prediction_id: str


class _Asked(msgspec.Struct):
    prediction_id: str
    predicted_at: datetime
    request_id: str | None


_decode = msgspec.msgpack.Decoder(PredictionRow).decode
_decode_asked = msgspec.msgpack.Decoder(_Asked).decode
_decode_id = msgspec.msgpack.Decoder(_Identified).decode


class LoggedDay:
    """A day as it is when this is made; who reads it keeps compaction from deleting segments meanwhile."""

    def __init__(self, log: Path, day: date) -> None:
        self._log = log
        # Segments first: one that is compacted between the two looks is then named by the record.
        segments = segments_of(log, day)
        record = CompactedLog(log).day(day)
        self._files = sorted(record.files, key=lambda file: file.last)
        self.segments = [path for path in segments if path.name not in record.segments]
        """Those that are not compacted, oldest first."""

    @cached_property
    def _compacted(self) -> "CompactedFiles":
        # Arrow takes a while to import, and where nothing is compacted nobody needs it.
        from include.adapters.compacted_files import CompactedFiles  # noqa: PLC0415

        return CompactedFiles(self._log)

    def rows(self) -> Iterator[PredictionRow]:
        """Yield all rows: the compacted ones, then those of segments.

        Raises:
            DataError: something is damaged; so with the others.
        """
        for file in self._files:
            yield from self._compacted.rows(file)
        yield from self.raw_rows()

    def raw_rows(self) -> Iterator[PredictionRow]:
        """Yield the rows of segments."""
        for path in self.segments:
            yield from map(_decode, read_payloads(path))

    def files_of(self, model: str) -> list[CompactedFile]:
        """Return the compacted files of a model."""
        return [file for file in self._files if file.is_of(model)]

    def state(self, model: str) -> list[str]:
        """Return names that change when rows of a model are added: its files, and all segments by length."""
        raw = [f"{path.name}:{path.stat().st_size}" for path in self.segments]
        return [*(file.uri for file in self.files_of(model)), *raw]

    def latest_parts(self) -> Iterator[Iterator[PredictionRow]]:
        """Yield the rows of each segment and file, the latest first."""
        for path in reversed(self.segments):
            yield map(_decode, reversed(list(read_payloads(path))))
        for file in reversed(self._files):
            yield self._compacted.rows_backwards(file)

    def ids_of_request(self, request_id: str, moment: datetime) -> Iterator[str]:
        """Yield the prediction ids a request has at a moment."""
        for file in self._files:
            if file.may_hold_moment(moment):
                yield from self._compacted.ids_of_request(file, request_id, moment)
        for path in self.segments:
            for asked in map(_decode_asked, read_payloads(path)):
                if (asked.request_id, asked.predicted_at) == (request_id, moment):
                    yield asked.prediction_id

    def find(self, wanted: set[str]) -> Iterator[PredictionRow]:
        """Yield the rows of ids; nothing more is read once all are found.

        Raises:
            DataError: one was not found, and a part of the day is damaged.
        """
        missing = set(wanted)
        damage: DataError | None = None
        for part in self._searches(missing):
            try:
                for row in part:
                    missing.discard(row.prediction_id)
                    yield row
            except DataError as error:
                damage = error
        if missing and damage is not None:
            raise damage

    def _searches(self, missing: set[str]) -> Iterator[Iterable[PredictionRow]]:
        """Yield a search for what is still missing in each part that may hold some of it."""
        for file in self._files:
            if fitting := [each for each in missing if file.may_hold(each)]:
                yield self._compacted.find(file, fitting)
        for path in self.segments:
            if missing:
                yield _found(path, missing)


def _found(path: Path, missing: set[str]) -> Iterator[PredictionRow]:
    for payload in read_payloads(path):
        if not missing:
            return
        if _decode_id(payload).prediction_id in missing:
            yield _decode(payload)
