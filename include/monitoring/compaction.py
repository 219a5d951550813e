"""Compaction: rows of sealed segments move to Parquet, each once, wherever it is killed.

The order is what makes it so: Parquet files are written under names made of their content, then the day's
record takes them in and the segments out in one step, and only then are segments deleted.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import msgspec

from include.adapters.compacted_files import CompactedFiles
from include.adapters.compacted_home import compacting, settle_home
from include.adapters.compacted_log import CompactedDay, CompactedFile, CompactedLog
from include.adapters.prediction_log import recover
from include.adapters.prediction_parquet import to_table
from include.adapters.reading_lock import deleting
from include.adapters.segments import day_folder, days, is_whole, read_payloads, segments_of
from include.config.settings import Settings
from include.contracts.errors import DataError
from include.contracts.predictions import PredictionRow

FILE_ROWS = 49_152
"""Most rows of a file: its footer, which every look-up reads whole, then takes one read."""
GROUP_BYTES = 64 * 2**20
"""Bytes of segments that are compacted at once; memory is bounded by them."""

_log = logging.getLogger(__name__)
_decode = msgspec.msgpack.Decoder(PredictionRow).decode


@dataclass(frozen=True)
class Compaction:
    """What a run did."""

    rows: int = 0
    segments: int = 0
    """Segments whose rows moved."""
    files: int = 0
    left: int = 0
    """Moved segments that somebody was reading just then; the next run deletes them."""
    damaged: tuple[str, ...] = ()
    """Segments that cannot be read; they stay as they are, and so do their readers' errors."""

    def __add__(self, other: "Compaction") -> "Compaction":
        """Return what both did."""
        return Compaction(
            self.rows + other.rows,
            self.segments + other.segments,
            self.files + other.files,
            self.left + other.left,
            self.damaged + other.damaged,
        )


def compact_predictions(settings: Settings, now: datetime) -> Compaction:
    """Move the rows of segments that were last written to before the window of `request_id` to Parquet.

    Younger ones stay: a restarted gateway knows repeated requests by them. Two runs wait for each other. A
    segment whose writer was killed is sealed first.

    Args:
        settings: says where the log lies, and where its compacted part shall.
        now: wall time, aware UTC.

    Raises:
        DataError: a day's record cannot be read, or the compacted part shall lie elsewhere than it does.
        ArtefactError: the compacted part cannot be written.
    """
    folder = settings.predictions_folder
    before = now - timedelta(seconds=settings.request_window_seconds)
    with compacting(folder):
        settle_home(folder, settings.compacted_url)
        recover(folder)
        done = Compaction()
        for day in days(folder):
            done += _compact_day(folder, day, before)
    return done


def _compact_day(folder: Path, day: date, before: datetime) -> Compaction:
    compacted = CompactedLog(folder)
    moved = compacted.day(day).segments
    settled = [
        path
        for path in segments_of(folder, day)
        if path.name not in moved and is_whole(path) and path.stat().st_mtime < before.timestamp()
    ]
    done = Compaction()
    if settled:
        compacted.delete_unrecorded(day)
    for group in _groups(settled):
        done += _move(compacted, day, group, folder)
    return done + Compaction(left=_delete_moved(folder, day, compacted.day(day)))


def _groups(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield segments in order, so many at once as memory is to hold."""
    group: list[Path] = []
    size = 0
    for path in paths:
        if group and size + path.stat().st_size > GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(path)
        size += path.stat().st_size
    if group:
        yield group


def _move(compacted: CompactedLog, day: date, group: Sequence[Path], folder: Path) -> Compaction:
    """Write the rows of segments to files and record them."""
    by_model: defaultdict[str, list[PredictionRow]] = defaultdict(list)
    moved, damaged = [], []
    for path in group:
        try:
            rows = [_decode(payload) for payload in read_payloads(path)]
        except DataError as error:
            _log.error("not compacted: %s", error)
            damaged.append(str(error))
            continue
        moved.append(path.name)
        for row in rows:
            by_model[row.model].append(row)
    # Before the first file: should somebody delete one as nobody's, the record has changed since.
    seen = compacted.seen(day)
    store = CompactedFiles(folder)
    files = [
        file
        for model in sorted(by_model)
        for file in _written(store, model, day, seen.content.revision, by_model[model])
    ]
    # A segment that is gone needs no mention any more.
    known = frozenset(name for name in seen.content.segments if (day_folder(folder, day) / name).exists())
    content = CompactedDay(files=(*seen.content.files, *files), segments=known | {*moved})
    compacted.record(day, content, seen)
    return Compaction(sum(file.rows for file in files), len(moved), len(files), damaged=tuple(damaged))


def _written(
    files: CompactedFiles, model: str, day: date, revision: int, rows: Sequence[PredictionRow]
) -> Iterator[CompactedFile]:
    table = to_table(rows)
    for start in range(0, len(table), FILE_ROWS):
        yield files.write(model, day, revision, table.slice(start, FILE_ROWS))


def _delete_moved(folder: Path, day: date, record: CompactedDay) -> int:
    """Delete the segments whose rows are in files; return how many stay because somebody reads."""
    moved = [path for path in segments_of(folder, day) if path.name in record.segments]
    if not moved:
        return 0
    with deleting(folder) as is_alone:
        if not is_alone:
            return len(moved)
        for path in moved:
            path.unlink()
    return 0
