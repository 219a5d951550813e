"""The outcome log: what became of predictions, as callers tell it; each outcome is kept once."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path

import msgspec

from include.adapters.segments import SegmentWriter, read_payloads, recover, segments
from include.contracts.errors import ConflictError
from include.contracts.predictions import OutcomeRow

_decode = msgspec.msgpack.Decoder(OutcomeRow).decode
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True)
class Receipt:
    """How many outcomes of a batch were new, and how many were known already."""

    accepted: int
    duplicates: int


class OutcomeLog:
    """One process's writer, partitioned by the UTC day of `occurred_at`."""

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        recover(folder)
        self._known = {row.outcome_id: _fingerprint(row) for row in read(folder)}
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
            known = self._known.get(row.outcome_id) or new.get(row.outcome_id)
            if known is None:
                new[row.outcome_id] = fingerprint
                by_day[row.occurred_at.astimezone(UTC).date()].append(row)
            elif known != fingerprint:
                raise ConflictError(f"outcome {row.outcome_id!r} is already known with other content")
        for day, accepted in by_day.items():
            self._writer.append(day, [_encode(row) for row in accepted])
            self._known.update((row.outcome_id, new[row.outcome_id]) for row in accepted)
        return Receipt(accepted=len(new), duplicates=len(rows) - len(new))

    def close(self) -> None:
        """Close the segments."""
        self._writer.close()


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


def _fingerprint(row: OutcomeRow) -> bytes:
    """Return a digest of what the caller said; when and with which key is not part of it."""
    said = (row.model, row.metric, row.value, row.occurred_at, row.prediction_id, row.unit)
    return sha256(_encode(said)).digest()[:16]
