"""The compacted part of the prediction log: Parquet files, and for each day the record of what counts.

    model=<model>/day=2017-11-01/<revision of the record>-<first half of its SHA-256>.parquet
    days/2017-11-01.json

A file exists for readers once its day's record names it; the same record names the segments it was made of,
which are read no more, deleted or not. So rows move in the one step that replaces the record.

In a bucket, what a killed process asked for may happen after the next one has begun. Hence a record is only
replaced by who saw it as it is; no file is deleted before its record has another revision, so that nobody can
record it any more; and a name that was deleted is never used again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from include.adapters.compacted_home import compacted_store
from include.contracts.errors import ArtefactError, DataError
from include.contracts.identifiers import time_of


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

    def overlaps(self, start: datetime, end: datetime) -> bool:
        """Say whether ids of moments in [start, end) lie within the file's; ids carry whole milliseconds."""
        return time_of(self.first) < end and start < time_of(self.last) + timedelta(milliseconds=1)

    def is_of(self, model: str) -> bool:
        """Say whether its rows are a model's."""
        return self.uri.startswith(f"model={model}/")


class CompactedDay(BaseModel):
    """What of a day is compacted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: tuple[CompactedFile, ...] = ()
    segments: frozenset[str] = frozenset()
    """Names of segments whose rows are in the files; one that is deleted need not stay named."""
    revision: int = 0
    """How often the record was replaced."""


@dataclass(frozen=True)
class Seen:
    """A day's record as it was found."""

    content: CompactedDay = field(default_factory=CompactedDay)
    tag: str | None = None
    """What the store tells it by; None if there is none."""


class CompactedLog:
    """The records of days; one process at a time changes them."""

    def __init__(self, log: Path) -> None:
        """Args: log: folder of the prediction log."""
        self._store = compacted_store(log)

    def days(self) -> list[date]:
        """Return the days there is a record of, in order.

        Raises:
            DataError: the store cannot be reached.
        """
        with _readable("the compacted log"):
            uris = self._store.uris("days/*.json")
        return [date.fromisoformat(uri.removeprefix("days/").removesuffix(".json")) for uri in uris]

    def day(self, day: date) -> CompactedDay:
        """Return the record of a day, an empty one if there is none.

        Raises:
            DataError: the record cannot be read.
        """
        return self.seen(day).content

    def seen(self, day: date) -> Seen:
        """Return the record of a day as who means to replace it must know it.

        Raises:
            DataError: the record cannot be read.
        """
        with _readable(f"the record of {day} in the compacted log"):
            found = self._store.tagged(_record_uri(day))
            if found is None:
                return Seen()
            content, tag = found
            return Seen(CompactedDay.model_validate_json(content), tag)

    def record(self, day: date, content: CompactedDay, seen: Seen) -> None:
        """Replace a day's record, in the next revision: from now on readers see its files.

        Raises:
            ArtefactError: it is no longer what was seen, or cannot be written.
        """
        next_one = content.model_copy(update={"revision": seen.content.revision + 1})
        self._store.replace(_record_uri(day), next_one.model_dump_json(indent=1).encode(), seen.tag)

    def forget(self, day: date) -> None:
        """Delete the record of a day that has no file and no segment any more.

        Raises:
            ArtefactError: the store cannot be reached.
        """
        self._store.delete(_record_uri(day))

    def delete_unrecorded(self, day: date) -> None:
        """Delete the files a killed compaction left behind before it recorded them.

        Raises:
            ArtefactError: their record changed meanwhile, or the store cannot be reached.
        """
        seen = self.seen(day)
        recorded = {file.uri for file in seen.content.files}
        found = self._store.uris(f"model=*/day={day.isoformat()}/*.parquet")
        strays = [uri for uri in found if uri not in recorded]
        if strays:
            self.record(day, seen.content, seen)
        for uri in strays:
            self._store.delete(uri)


@contextmanager
def _readable(what: str) -> Iterator[None]:
    try:
        yield
    except (ArtefactError, ValueError) as error:
        raise DataError(f"{what} cannot be read: {error}") from error


def _record_uri(day: date) -> str:
    return f"days/{day.isoformat()}.json"
