"""The log's tail as answers: what requests with an id were told in the last minutes, newest first."""

from collections.abc import Iterator
from datetime import UTC, datetime
from logging import getLogger
from pathlib import Path
from time import monotonic

import msgspec

from include.adapters.segments import read_payloads, segments
from include.contracts.errors import DataError
from include.contracts.predictions import FallbackReason, Source, Status

_log = getLogger(__name__)


class _Asked(msgspec.Struct):
    """What tells whether a row is worth reading."""

    request_id: str | None
    recorded_at: datetime
    source: Source


class LoggedAnswer(msgspec.Struct, frozen=True):
    """What of a row answers its request again."""

    prediction_id: str
    request_id: str
    body_sha256: str
    key_id: str | None
    model: str
    assigned_variant: str | None
    served_version: str | None
    recorded_at: datetime
    feature_timestamps: dict[str, datetime | None]
    outputs: tuple[float, ...] | None
    status: Status
    fallback_reason: FallbackReason | None
    error: str | None = None
    request_index: int = 0
    request_entities: int = 1


_decode_asked = msgspec.msgpack.Decoder(_Asked).decode
_decode = msgspec.msgpack.Decoder(LoggedAnswer).decode


def request_tail(folder: Path, since: datetime, *, most: int, seconds: float) -> Iterator[LoggedAnswer]:
    """Yield the live rows with a `request_id` recorded since a moment of wall time, newest segments first.

    A damaged segment gives what lies before the damage.

    Args:
        folder: the prediction log's.
        since: aware; segments not written since then are not opened.
        most: rows to yield at most.
        seconds: after this long nothing more is read, and what is older stays unread.
    """
    deadline = monotonic() + seconds
    for path in _written_since(folder, since):
        for payload in reversed(_payloads(path)):
            if most <= 0 or monotonic() > deadline:
                _log.warning("older requests are not remembered", extra={"fields": {"segment": path.name}})
                return
            asked = _decode_asked(payload)
            if asked.recorded_at < since:
                break  # a segment's rows are in the order they were recorded
            if asked.request_id is not None and asked.source is Source.LIVE:
                most -= 1
                yield _decode(payload)


def _written_since(folder: Path, since: datetime) -> list[Path]:
    """Return the segments written since a moment, the one written last first."""
    found = []
    for path in segments(folder):
        try:
            written_at = path.stat().st_mtime_ns
        except FileNotFoundError:
            continue  # compacted meanwhile: it is older than any window
        if written_at >= since.astimezone(UTC).timestamp() * 1e9:
            found.append((written_at, path))
    return [path for _, path in sorted(found, reverse=True)]


def _payloads(path: Path) -> list[bytes]:
    found: list[bytes] = []
    try:
        found.extend(read_payloads(path))
    except (DataError, FileNotFoundError) as error:
        _log.warning("requests of a segment are not remembered", extra={"fields": {"error": str(error)}})
    return found
