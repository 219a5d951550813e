"""What requests of each variant came to, out of the prediction log, for guardrails to judge.

A row says itself which change, share and variant it belongs to, so no window of event time enters: a replay
of 2017 and live traffic are read alike. What counts is wall time, `recorded_at`, from a moment on. Reading
again and again is cheap: parts of the log that cannot change any more are read once.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pyarrow
from pyarrow import compute

from include.adapters.compacted_files import CompactedFiles
from include.adapters.compacted_log import CompactedFile, CompactedLog
from include.adapters.logged_day import LoggedDay
from include.adapters.reading_lock import reading
from include.adapters.segments import days, is_whole, read_payloads
from include.config.settings import Settings
from include.contracts.guardrails import RequestMetric
from include.contracts.predictions import NOT_ANSWERED, FallbackReason, Source, Status
from include.stats.guardrails import VariantSample

_CLOCKS_DIFFER = timedelta(minutes=1)
"""By how much a file's time may lie before what was written into it."""


@dataclass(frozen=True)
class Arm:
    """Which requests belong together."""

    source: Source
    change_id: str | None
    """Release or experiment behind the split."""
    share: float | None
    """Share of the units on the new version; None where nothing was split."""
    variant: str | None


Samples = dict[Arm, VariantSample]


class _Row(msgspec.Struct):
    """What is needed of a row; the rest is not decoded."""

    model: str
    unit: str
    assigned_variant: str | None
    release_or_experiment_id: str | None
    share: float | None
    recorded_at: datetime
    status: Status
    fallback_reason: FallbackReason | None
    source: Source
    latency_seconds: float


_FIELDS = _Row.__struct_fields__
_decode = msgspec.msgpack.Decoder(_Row).decode


class VariantReader:
    """Reads one model's variants.

    Args:
        settings: says where the log lies, and whether history is replayed.
        model: name of the model.
        since: wall time from which rows count.
    """

    def __init__(self, settings: Settings, model: str, since: datetime) -> None:
        self._folder = settings.predictions_folder
        self._is_replay = settings.replay
        self._model = model
        self._since = since
        self._kept: dict[str, Samples] = {}

    def read(self) -> Samples:
        """Return the requests of every arm so far.

        Raises:
            DataError: a segment is damaged before its tail, or a compacted file is.
        """
        kept, self._kept = self._kept, {}
        with reading(self._folder):
            return joined([self._part(kept, *part) for day in self._days() for part in self._parts(day)])

    def _part(
        self, kept: dict[str, Samples], name: str, is_final: bool, read: Callable[[], Samples]
    ) -> Samples:
        found = kept[name] if name in kept else read()
        if is_final:
            self._kept[name] = found
        return found

    def _days(self) -> Iterator[date]:
        """Yield the days of event time that rows may be of: any day in a replay."""
        first = (self._since - timedelta(days=1)).astimezone(UTC).date()
        for day in sorted({*days(self._folder), *CompactedLog(self._folder).days()}):
            if self._is_replay or day >= first:
                yield day

    def _parts(self, day: date) -> Iterator[tuple[str, bool, Callable[[], Samples]]]:
        """Yield each part of a day: its name, whether it can change no more, and what reads it."""
        logged = LoggedDay(self._folder, day)
        for file in logged.files_of(self._model):
            yield file.uri, True, partial(self._compacted, file)
        for path in logged.segments:
            if path.stat().st_mtime >= (self._since - _CLOCKS_DIFFER).timestamp():
                yield str(path), is_whole(path), partial(self._raw, path)

    def _raw(self, path: Path) -> Samples:
        rows = (row for row in map(_decode, read_payloads(path)) if row.model == self._model)
        fields = zip(*(msgspec.structs.astuple(row) for row in rows), strict=True)
        columns = [list(values) for values in fields] or [[] for _ in _FIELDS]
        return self._samples(pd.DataFrame(dict(zip(_FIELDS, columns, strict=True))))

    def _compacted(self, file: CompactedFile) -> Samples:
        table = CompactedFiles(self._folder).columns(file, [name for name in _FIELDS if name != "model"])
        at = table["recorded_at"]
        table = table.filter(compute.greater_equal(at, pyarrow.scalar(self._since, at.type)))
        return self._samples(table.to_pandas())

    def _samples(self, rows: pd.DataFrame) -> Samples:
        if rows.empty:
            return {}
        keys = ["source", "release_or_experiment_id", "share", "assigned_variant"]
        found: Samples = {}
        for _, part in rows[rows["recorded_at"] >= self._since].groupby(keys, dropna=False, sort=False):
            first = part.iloc[0]
            change_id, share, variant = (None if pd.isna(first[key]) else first[key] for key in keys[1:])
            found[Arm(Source(first["source"]), change_id, share, variant)] = _sample(part)
        return found


def joined(parts: Iterable[Samples]) -> Samples:
    """Return the requests of all parts, by arm."""
    found: defaultdict[Arm, list[VariantSample]] = defaultdict(list)
    for part in parts:
        for arm, sample in part.items():
            found[arm].append(sample)
    return {arm: _together(samples) for arm, samples in found.items()}


def _sample(rows: pd.DataFrame) -> VariantSample:
    status, reason = rows["status"].astype(str), rows["fallback_reason"]
    failed = status.isin([Status.FAILED.value, Status.REFUSED.value]) | reason.isin(list(NOT_ANSWERED))
    return VariantSample(
        units=pd.util.hash_array(rows["unit"].to_numpy(dtype=object)).view(np.int64),
        latencies=rows["latency_seconds"].to_numpy(dtype=np.float64),
        flags={
            RequestMetric.ERROR_RATIO.value: failed.to_numpy(dtype=np.bool_),
            RequestMetric.FALLBACK_RATIO.value: (status == Status.FALLBACK.value).to_numpy(dtype=np.bool_),
        },
        breaker_open=int((reason == FallbackReason.BREAKER_OPEN).sum()),
    )


def _together(samples: Sequence[VariantSample]) -> VariantSample:
    if len(samples) == 1:
        return samples[0]
    return VariantSample(
        units=np.concatenate([each.units for each in samples]),
        latencies=np.concatenate([each.latencies for each in samples]),
        flags={name: np.concatenate([each.flags[name] for each in samples]) for name in samples[0].flags},
        breaker_open=sum(each.breaker_open for each in samples),
    )
