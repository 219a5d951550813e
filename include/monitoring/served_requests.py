"""Requests of a model by spans of time, as its objectives count them, out of the prediction log."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow
from pyarrow import compute

from include.adapters.logged_columns import read_columns
from include.config.settings import Settings
from include.contracts.model import ModelContract
from include.contracts.objectives import Objective
from include.contracts.predictions import Source, Status
from include.contracts.usability import FeatureFlaw
from include.stats.burn_rates import Requests

SPAN = timedelta(minutes=5)
"""Length of a span: the shortest window that is looked at."""
LAG = timedelta(minutes=1)
"""How long after a span's end its rows may still be written: more than any deadline."""
SOURCES = (Source.LIVE, Source.OIP)
"""Requests of callers; mirrored ones, batches and drills promise nobody anything."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OUR_FLAWS = (FeatureFlaw.STALE_FEATURES, FeatureFlaw.MISSING_FEATURES, FeatureFlaw.INVALID_FEATURES)
_OURS = rf"(^|; )({'|'.join(_OUR_FLAWS)}): "
"""What the error of a row says that was refused for what the platform itself knows of the entity."""
_GOOD = [Status.OK.value, Status.FALLBACK.value]


@dataclass(frozen=True)
class Span:
    """Requests of [start, end), by objective; of any length where there were none."""

    start: datetime
    end: datetime
    requests: Mapping[Objective, Requests]
    latency_p99_ms: float | None = None
    """Milliseconds within which 99 of 100 answers came; None where there was none."""

    @property
    def is_empty(self) -> bool:
        """Whether there were no requests."""
        return not any(each.total for each in self.requests.values())


def last_span_end(as_of: datetime) -> datetime:
    """Return the end of the last span whose rows are all written: on a grid a minute before the full five."""
    return _EPOCH + ((as_of - _EPOCH) // SPAN) * SPAN - LAG


def gaps(
    known: Iterable[tuple[datetime, datetime]], start: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the parts of [start, end) that no known span covers, in their order."""
    covered = start
    for first, last in sorted(known):
        if first > covered:
            yield covered, min(first, end)
        covered = max(covered, last)
        if covered >= end:
            return
    yield covered, end


def count_requests(settings: Settings, contract: ModelContract, start: datetime, end: datetime) -> list[Span]:
    """Return the spans of [start, end), in their order; those without requests are joined.

    Availability counts attempts to predict, an entity of a request each. One that failed is bad, and so is
    one that was refused for the platform's own features; what was refused for what its caller sent does not
    count. Latency counts those that were answered.

    Raises:
        DataError: the log is damaged.
    """
    columns = ("predicted_at", "status", "latency_seconds", "error")
    logged = read_columns(settings, contract.name, start, end, columns, sources=SOURCES)
    edges = _edges(start, end)
    counts = _counts(logged, edges, contract.objectives.latency_p99_ms / 1_000)
    slowest = _latency_p99(logged, edges)
    spans = [
        Span(first, last, {each: Requests(*row[each]) for each in Objective}, p99)
        for (first, last), row, p99 in zip(pairwise(edges), counts, slowest, strict=True)
    ]
    return list(_joined(spans))


def _edges(start: datetime, end: datetime) -> list[datetime]:
    return [*(start + number * SPAN for number in range(-(-(end - start) // SPAN))), end]


def _counts(
    logged: pyarrow.Table, edges: list[datetime], bound_seconds: float
) -> list[dict[Objective, tuple[int, int]]]:
    place = _places(logged, edges)
    good = compute.is_in(logged["status"], pyarrow.array(_GOOD)).to_numpy()
    slow = good & (logged["latency_seconds"].to_numpy() > bound_seconds)
    ours = compute.fill_null(compute.match_substring_regex(logged["error"], _OURS), False).to_numpy()
    refused = compute.equal(logged["status"], Status.REFUSED.value).to_numpy()
    failed = ~good & (~refused | ours)
    size = len(edges) - 1
    answered, bad, late = (np.bincount(place[rows], minlength=size) for rows in (good, failed, slow))
    return [
        {
            Objective.AVAILABILITY: (int(answered[at] + bad[at]), int(bad[at])),
            Objective.LATENCY: (int(answered[at]), int(late[at])),
        }
        for at in range(size)
    ]


def _places(logged: pyarrow.Table, edges: list[datetime]) -> npt.NDArray[np.int64]:
    """Return which span each row lies in."""
    moments = logged["predicted_at"].cast(pyarrow.int64()).to_numpy()
    limits = np.array([(edge - _EPOCH) // timedelta(microseconds=1) for edge in edges], np.int64)
    places: npt.NDArray[np.int64] = np.searchsorted(limits, moments, side="right") - 1
    return places


def _latency_p99(logged: pyarrow.Table, edges: list[datetime]) -> list[float | None]:
    """Return the 99th of 100 answers' milliseconds, span by span."""
    good = compute.is_in(logged["status"], pyarrow.array(_GOOD)).to_numpy()
    place = _places(logged, edges)[good]
    took = 1_000 * logged["latency_seconds"].to_numpy()[good]
    order = np.lexsort((took, place))
    ends = np.searchsorted(place[order], np.arange(len(edges)))
    return [
        float(took[order[first + -(-99 * (last - first) // 100) - 1]]) if last > first else None
        for first, last in pairwise(ends)
    ]


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    waiting: Span | None = None
    for span in spans:
        if waiting is not None and not span.is_empty:
            yield waiting
            waiting = None
        if span.is_empty:
            waiting = Span(waiting.start if waiting else span.start, span.end, span.requests)
        else:
            yield span
    if waiting is not None:
        yield waiting
