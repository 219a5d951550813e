"""The outcome log: what became of predictions, as callers tell it; each outcome is kept once."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from logging import getLogger
from pathlib import Path

import msgspec

from include.adapters.outcome_index import OutcomeIndex
from include.adapters.segment_writer import SegmentWriter
from include.adapters.segments import read_payloads, recover, segments, unsealed
from include.contracts.errors import ConflictError, DataError
from include.contracts.predictions import OutcomeRow

INDEX_NAME = "outcomes.sqlite"

_log = getLogger(__name__)
_decode = msgspec.msgpack.Decoder(OutcomeRow).decode
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True)
class Receipt:
    """How many outcomes of a batch were new, and how many were known already."""

    accepted: int
    duplicates: int


class OutcomeLog:
    """One process's writer, partitioned by the UTC day of `occurred_at`.

    Which outcomes are known lies in an index beside the log; it is rebuilt where it is missing or broken.
    """

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        left_open = unsealed(folder)
        self.recovery = recover(folder)
        """What killed writers left; their rows may be missing in the index, those of sealed segments not."""
        self._index = OutcomeIndex(folder / INDEX_NAME)
        for path in left_open if self._index.is_whole else segments(folder):
            self._index.add(_known(path))
        self._index.is_whole = True
        self._writer = SegmentWriter(folder, segment_bytes)

    def append(self, rows: Sequence[OutcomeRow]) -> Receipt:
        """Append the outcomes not seen before.

        Raises:
            ConflictError: an id is known with other content; nothing of the batch is written.
            LogWriteError: the rows of a day could not be written; sending the batch again is safe.
        """
        new: dict[str, bytes] = {}
        by_day: defaultdict[date, list[OutcomeRow]] = defaultdict(list)
        for row in rows:
            fingerprint = _fingerprint(row)
            known = new.get(row.outcome_id) or self._index.find(row.outcome_id)
            if known is None:
                new[row.outcome_id] = fingerprint
                by_day[row.occurred_at.astimezone(UTC).date()].append(row)
            elif known != fingerprint:
                raise ConflictError(f"outcome {row.outcome_id!r} is already known with other content")
        for day, accepted in by_day.items():
            with self._index.adding([(row.outcome_id, new[row.outcome_id]) for row in accepted]):
                self._writer.append(day, [_encode(row) for row in accepted])
        return Receipt(accepted=len(new), duplicates=len(rows) - len(new))

    def close(self) -> None:
        """Close the segments and the index."""
        self._writer.close()
        self._index.close()


def read(folder: Path, start: datetime | None = None, end: datetime | None = None) -> Iterator[OutcomeRow]:
    """Yield the outcomes with `occurred_at` in [start, end), day by day; None leaves a side open.

    Raises:
        DataError: a segment is damaged before its tail.
    """
    for path in segments(folder, start, end):
        for payload in read_payloads(path):
            row = _decode(payload)
            if (start is None or start <= row.occurred_at) and (end is None or row.occurred_at < end):
                yield row


def _known(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield ids and digests of a segment; of a damaged one, those before the damage."""
    try:
        for payload in read_payloads(path):
            row = _decode(payload)
            yield row.outcome_id, _fingerprint(row)
    except DataError as error:
        _log.error("outcomes not indexed", extra={"fields": {"error": str(error)}})


def _fingerprint(row: OutcomeRow) -> bytes:
    """Return a digest of what the caller said; when and with which key is not part of it."""
    said = (row.model, row.metric, row.value, row.occurred_at, row.prediction_id, row.unit)
    return sha256(_encode(said)).digest()[:16]
