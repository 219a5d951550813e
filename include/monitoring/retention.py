"""Days of the logs, and of predictions joined with their labels, that were kept long enough, deleted.

A day goes in one step for whoever reads: its record then names its segments as moved and no file. What lies
about afterwards is deleted next, by this run or, should it be killed, the next one.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from include.adapters.compacted_home import compacting
from include.adapters.compacted_log import CompactedDay, CompactedLog
from include.adapters.labelled_store import LabelledStore
from include.adapters.outcome_columns import copy_of
from include.adapters.reading_lock import deleting
from include.adapters.segments import days, is_whole, segments_of
from include.config.settings import Settings


@dataclass(frozen=True)
class Forgotten:
    """What a run deleted."""

    days: int = 0
    left: int = 0
    """Days that are old enough and were being read or written: the next run deletes them."""

    def __add__(self, other: "Forgotten") -> "Forgotten":
        """Return what both did."""
        return Forgotten(self.days + other.days, self.left + other.left)


def forget_old_days(settings: Settings, today: date) -> Forgotten:
    """Delete the days of logs and labelled predictions further back than `settings.log_days`; 0 keeps all.

    A replay plays days of long ago, and keeps them.

    Raises:
        DataError: a day's record cannot be read.
        ArtefactError: the compacted part cannot be changed.
    """
    if settings.log_days == 0 or settings.replay:
        return Forgotten()
    first = today - timedelta(days=settings.log_days)
    return (
        _forget_predictions(settings.predictions_folder, first)
        + _forget_outcomes(settings.outcomes_folder, first)
        + _forget_labelled(settings, first)
    )


def _forget_predictions(log: Path, first: date) -> Forgotten:
    done = Forgotten()
    with compacting(log):
        compacted = CompactedLog(log)
        recorded = set(compacted.days())
        for day in sorted({*days(log), *recorded}):
            if day < first and (day in recorded or segments_of(log, day)):
                done += _forget_day(log, compacted, day)
    return done


def _forget_day(log: Path, compacted: CompactedLog, day: date) -> Forgotten:
    segments = segments_of(log, day)
    if not all(is_whole(path) for path in segments):
        return Forgotten(left=1)
    with deleting(log) as is_alone:
        if not is_alone:
            return Forgotten(left=1)
        names = frozenset(path.name for path in segments)
        compacted.record(day, CompactedDay(segments=names), compacted.seen(day))
        compacted.delete_unrecorded(day)
        for path in segments:
            path.unlink()
        compacted.forget(day)
    return Forgotten(days=1)


def _forget_outcomes(log: Path, first: date) -> Forgotten:
    done = Forgotten()
    for day in days(log):
        if day >= first:
            continue
        segments = segments_of(log, day)
        for path in filter(is_whole, segments):
            path.unlink()
            copy_of(path).unlink(missing_ok=True)
        whole = all(not path.exists() for path in segments)
        done += Forgotten(days=int(whole and bool(segments)), left=int(not whole))
    return done


def _forget_labelled(settings: Settings, first: date) -> Forgotten:
    models = [path.name for path in settings.labelled_folder.glob("*")]
    return Forgotten(days=sum(LabelledStore(settings, model).forget_before(first) for model in models))
