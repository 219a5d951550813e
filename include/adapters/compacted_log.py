"""The compacted part of the prediction log: Parquet files, and for each day the record of what counts.

    model=<model>/day=2017-11-01/<first half of its SHA-256>.parquet
    days/2017-11-01.json

A file exists for readers once its day's record names it; the same record names the segments it was made of,
which are read no more, deleted or not. So rows move in the one step that replaces the record.
"""

from datetime import date, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from include.adapters.artefacts import ArtefactStore
from include.contracts.errors import ArtefactError, DataError
from include.contracts.identifiers import time_of

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
    """The records of days; one process at a time changes them."""

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

    def delete_unrecorded(self, day: date) -> None:
        """Delete the files a killed compaction left behind before it recorded them."""
        recorded = {file.uri for file in self.day(day).files}
        for uri in self._store.uris(f"model=*/day={day.isoformat()}/*.parquet"):
            if uri not in recorded:
                self._store.delete(uri)


def _record_uri(day: date) -> str:
    return f"days/{day.isoformat()}.json"
