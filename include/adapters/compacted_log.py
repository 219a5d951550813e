"""The compacted part of the prediction log: Parquet files, and for each day the record of what counts.

    model=churn/day=2017-11-01/<first half of its SHA-256>.parquet
    days/2017-11-01.json

A file exists for readers once its day's record names it; the same record names the segments it was made of,
which are read no more, deleted or not. So rows move in the one step that replaces the record.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import pyarrow
from pydantic import BaseModel, ConfigDict

from include.adapters import prediction_parquet
from include.adapters.artefacts import ArtefactStore
from include.contracts.errors import ArtefactError, DataError
from include.contracts.identifiers import time_of
from include.contracts.predictions import PredictionRow

FOLDER = "compacted"
"""Name of the folder inside the log's."""


class CompactedFile(BaseModel):
    """A Parquet file of one model and day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str
    rows: int
    first: str
    """Smallest prediction id."""
    last: str
    """Largest prediction id."""

    def may_hold(self, prediction_id: str) -> bool:
        """Say whether an id lies within the file's."""
        return self.first <= prediction_id <= self.last

    def may_hold_moment(self, moment: datetime) -> bool:
        """Say whether ids of a moment lie within the file's; ids carry whole milliseconds."""
        floor = moment.replace(microsecond=moment.microsecond // 1_000 * 1_000)
        return time_of(self.first) <= floor <= time_of(self.last)


class CompactedDay(BaseModel):
    """What of a day is compacted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: tuple[CompactedFile, ...] = ()
    segments: frozenset[str] = frozenset()
    """Names of segments whose rows are in the files; one that is deleted need not stay named."""


class CompactedLog:
    """Reads the compacted part; one process at a time adds to it."""

    def __init__(self, log: Path) -> None:
        """Args: log: folder of the prediction log."""
        self._store = ArtefactStore(log / FOLDER)

    def days(self) -> list[date]:
        """Return the days there is a record of, in order."""
        uris = self._store.uris("days/*.json")
        return [date.fromisoformat(uri.removeprefix("days/").removesuffix(".json")) for uri in uris]

    def day(self, day: date) -> CompactedDay:
        """Return the record of a day, an empty one if there is none.

        Raises:
            DataError: the record cannot be read.
        """
        try:
            return CompactedDay.model_validate_json(self._store.read(_record_uri(day)))
        except ArtefactError:
            return CompactedDay()
        except ValueError as error:
            raise DataError(f"the record of {day} in the compacted log cannot be read: {error}") from error

    def record(self, day: date, content: CompactedDay) -> None:
        """Replace a day's record: from now on readers see its files."""
        self._store.write(_record_uri(day), content.model_dump_json(indent=1).encode())

    def write(self, model: str, day: date, table: pyarrow.Table) -> CompactedFile:
        """Write rows of a model and day, sorted by id, as a file; the same rows give the same file."""
        content = prediction_parquet.write(table)
        uri = f"model={model}/day={day.isoformat()}/{sha256(content).hexdigest()[:32]}.parquet"
        self._store.write(uri, content)
        ids = table["prediction_id"]
        return CompactedFile(uri=uri, rows=len(table), first=ids[0].as_py(), last=ids[-1].as_py())

    def delete_unrecorded(self, day: date) -> None:
        """Delete the files a killed compaction left behind before it recorded them."""
        recorded = {file.uri for file in self.day(day).files}
        for uri in self._store.uris(f"model=*/day={day.isoformat()}/*.parquet"):
            if uri not in recorded:
                self._store.delete(uri)

    def rows(self, file: CompactedFile) -> Iterator[PredictionRow]:
        """Yield the rows of a file by id.

        Raises:
            DataError: it is gone or damaged; so with the others.
        """
        with self._opened(file) as content:
            yield from prediction_parquet.read(content)

    def rows_backwards(self, file: CompactedFile) -> Iterator[PredictionRow]:
        """Yield the rows of a file, the largest id first."""
        with self._opened(file) as content:
            yield from prediction_parquet.read_backwards(content)

    def find(self, file: CompactedFile, prediction_ids: Collection[str]) -> Iterator[PredictionRow]:
        """Yield the rows of ids in a file."""
        with self._opened(file) as content:
            yield from prediction_parquet.find(content, prediction_ids)

    def ids_of_request(self, file: CompactedFile, request_id: str, moment: datetime) -> list[str]:
        """Return the prediction ids a request has in a file at a moment."""
        with self._opened(file) as content:
            return prediction_parquet.ids_of_request(content, request_id, moment)

    @contextmanager
    def _opened(self, file: CompactedFile) -> Iterator[BinaryIO]:
        try:
            with self._store.open(file.uri) as content:
                yield content
        except (ArtefactError, OSError, pyarrow.ArrowException) as error:
            raise DataError(f"{file.uri} of the compacted log cannot be read: {error}") from error


def _record_uri(day: date) -> str:
    return f"days/{day.isoformat()}.json"
