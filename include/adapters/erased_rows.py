"""Rows of one entity taken out of Parquet files and logs; a file is replaced in one step, or stays."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import msgspec
import pyarrow
import pyarrow.parquet
from pyarrow import compute

from include.adapters.compacted_files import CompactedFiles
from include.adapters.compacted_home import compacting
from include.adapters.compacted_log import CompactedDay, CompactedFile, CompactedLog
from include.adapters.files import write_atomically
from include.adapters.outcome_columns import copy_of
from include.adapters.parquet import write_table
from include.adapters.prediction_parquet import to_table
from include.adapters.reading_lock import deleting
from include.adapters.segments import HEADER, framed, is_whole, read_payloads, segments
from include.contracts.errors import DataError
from include.contracts.predictions import OutcomeRow, PredictionRow

PATIENCE_SECONDS = 60.0
"""How long files that readers may have open are waited for."""
_POLL_SECONDS = 0.1
_prediction = msgspec.msgpack.Decoder(PredictionRow).decode
_outcome = msgspec.msgpack.Decoder(OutcomeRow).decode

IsOf = Callable[[PredictionRow], bool]


@dataclass
class ErasedLog:
    """What was taken out of a log."""

    rows: int = 0
    prediction_ids: set[str] = field(default_factory=set)
    being_written: list[Path] = field(default_factory=list)
    """Segments that hold rows of the entity and have a writer: to be done again when they are sealed."""


def without(table: pyarrow.Table, column: str, text: str) -> pyarrow.Table:
    """Return a table without the rows whose column, as text, says something."""
    same = compute.equal(compute.cast(table[column], pyarrow.string()), text)
    return table.filter(compute.invert(compute.fill_null(same, fill_value=False)))


def erase_from_files(paths: Iterable[Path], column: str, text: str) -> int:
    """Take the rows of an entity out of Parquet files that have its column; return how many there were."""
    erased = 0
    for path in paths:
        if column not in pyarrow.parquet.read_schema(path).names:
            continue
        table = pyarrow.parquet.read_table(path, partitioning=None)
        kept = without(table, column, text)
        if len(kept) < len(table):
            write_table(path, kept)
            erased += len(table) - len(kept)
    return erased


def erase_predictions(log: Path, is_of: IsOf) -> ErasedLog:
    """Take an entity's rows out of a prediction log, segments and Parquet alike.

    Raises:
        DataError: a segment or file is damaged, or readers did not let go of a file in time.
        ArtefactError: the compacted part cannot be written.
    """
    done = ErasedLog()
    if not log.exists():
        return done
    with compacting(log):
        for path in segments(log):
            _erase_from_segment(path, lambda payload: _is_taken(payload, is_of, done), done)
        compacted = CompactedLog(log)
        for day in compacted.days():
            _erase_from_day(log, compacted, day, is_of, done)
    return done


def erase_outcomes(log: Path, is_of: Callable[[OutcomeRow], bool]) -> ErasedLog:
    """Take outcomes out of an outcome log; that an outcome's id is known stays known."""
    done = ErasedLog()
    for path in segments(log) if log.exists() else ():
        before = done.rows
        _erase_from_segment(path, lambda payload: is_of(_outcome(payload)), done)
        if done.rows > before:
            copy_of(path).unlink(missing_ok=True)
    return done


def _is_taken(payload: bytes, is_of: IsOf, done: ErasedLog) -> bool:
    row = _prediction(payload)
    if not is_of(row):
        return False
    done.prediction_ids.add(row.prediction_id)
    return True


def _erase_from_segment(path: Path, is_of: Callable[[bytes], bool], done: ErasedLog) -> None:
    payloads = list(read_payloads(path))
    kept = [payload for payload in payloads if not is_of(payload)]
    if len(kept) == len(payloads):
        return
    if not is_whole(path):
        done.being_written.append(path)
        return
    write_atomically(path, HEADER + b"".join(framed(payload) for payload in kept))
    done.rows += len(payloads) - len(kept)


def _erase_from_day(log: Path, compacted: CompactedLog, day: date, is_of: IsOf, done: ErasedLog) -> None:
    """Replace the files of a day that hold the entity, in the one step that replaces the day's record."""
    seen, files = compacted.seen(day), CompactedFiles(log)
    kept: list[CompactedFile] = []
    changed = False
    for file in seen.content.files:
        rows = list(files.rows(file))
        others = [row for row in rows if not is_of(row)]
        if len(others) == len(rows):
            kept.append(file)
            continue
        changed = True
        done.rows += len(rows) - len(others)
        done.prediction_ids |= {row.prediction_id for row in rows} - {row.prediction_id for row in others}
        if others:
            model = rows[0].model
            kept.append(files.write(model, day, seen.content.revision, to_table(others)))
    if changed:
        compacted.record(day, CompactedDay(files=tuple(kept), segments=seen.content.segments), seen)
    _when_nobody_reads(log, lambda: compacted.delete_unrecorded(day))


def _when_nobody_reads(log: Path, act: Callable[[], None]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with deleting(log) as is_alone:
            if is_alone:
                act()
                return
        time.sleep(_POLL_SECONDS)
    raise DataError(f"{log} was read for {PATIENCE_SECONDS:.0f} s on end, so a file stayed; run it again")
