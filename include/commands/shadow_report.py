"""`make shadow-report MODEL=…`: what was answered, beside what the shadow would have answered."""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from include.adapters.ledger.ledger import Ledger
from include.adapters.prediction_log import read
from include.commands.terminal import moment_of, run_command
from include.config.settings import Settings, settings
from include.contracts.errors import PlatformError
from include.contracts.predictions import PredictionRow, Source
from include.contracts.signatures import Task
from include.stats.paired_outputs import QUANTILES, PairedOutputs, compare_outputs

USAGE = "usage: make shadow-report MODEL=<model> [FROM=<moment>] [TO=<moment>] [THRESHOLD=0.5]"
THRESHOLD = 0.5
_WIDTH = 24
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Answer:
    """What one of the two said to a request."""

    version: str | None
    outputs: tuple[float, ...] | None
    latency_seconds: float


Pair = tuple[Answer, Answer]
"""What was answered, and what the shadow said."""


def main() -> None:
    """Compare as the command line says."""
    run_command(lambda: print(shadow_report(settings(), *[*sys.argv[1:], "", "", "", ""][:4])))


def shadow_report(settings: Settings, model: str, first: str, last: str, threshold: str) -> str:
    """Return the comparison of a model's answers with its shadow's, request by request, as text.

    Args:
        settings: names ledger and prediction log.
        model: the model's name.
        first: event time from which on, ISO 8601; empty means from the beginning.
        last: event time before which; empty means to the end.
        threshold: score at or above which a binary model's decision is yes; empty means 0.5.

    Raises:
        PlatformError: no model is named, it serves nothing, or nothing of it was mirrored in that time.
        DataError: a segment of the log is damaged.
    """
    if not model:
        raise PlatformError(USAGE)
    start, end = moment_of(first, _FIRST), moment_of(last, _LAST)
    pairs = paired(settings, model, start, end)
    if not pairs:
        raise PlatformError(f"no request of {model} was mirrored then; see `make shadow`")
    decision = _number(threshold) if _task(settings, model) is Task.BINARY else None
    return "\n".join(_lines(model, pairs, decision))


def paired(settings: Settings, model: str, start: datetime, end: datetime) -> list[Pair]:
    """Return what was answered to mirrored requests beside what the shadow said, of [start, end).

    Raises:
        DataError: a segment of the log is damaged.
    """
    folder = settings.predictions_folder
    shadows = {
        row.shadow_of: _answer(row)
        for row in read(folder, start, end)
        if row.source is Source.SHADOW and row.model == model
    }
    return [
        (_answer(row), shadows[row.prediction_id])
        for row in read(folder, start, end)
        if row.prediction_id in shadows
    ]


def _answer(row: PredictionRow) -> Answer:
    return Answer(row.served_version, row.outputs, row.latency_seconds)


def _task(settings: Settings, model: str) -> Task:
    with closing(Ledger(settings.ledger_uri)) as ledger:
        route = ledger.route(model)
    if route is None:
        raise PlatformError(f"{model} serves nothing")
    return route.champion.signature.task


def _number(text: str) -> float:
    try:
        return float(text) if text else THRESHOLD
    except ValueError:
        raise PlatformError(f"THRESHOLD={text} is no number") from None


def _lines(model: str, pairs: Sequence[Pair], threshold: float | None) -> Iterator[str]:
    yield f"{model}: {len(pairs):,} mirrored requests"
    unanswered = Counter(shadow.version is None for _, shadow in pairs)[True]
    yield f"  the shadow gave no score for {unanswered:,}"
    for (answered, shadow), group in sorted(_by_version(pairs).items()):
        yield f"{shadow} beside {answered}"
        compared = compare_outputs(
            [one.outputs or () for one, _ in group], [other.outputs or () for _, other in group], threshold
        )
        yield from _differences(compared)
        yield from _latencies(group)


def _by_version(pairs: Sequence[Pair]) -> Mapping[tuple[str, str], list[Pair]]:
    groups: defaultdict[tuple[str, str], list[Pair]] = defaultdict(list)
    for one, other in pairs:
        if one.version is not None and other.version is not None:
            groups[one.version, other.version].append((one, other))
    return groups


def _differences(found: PairedOutputs) -> Iterator[str]:
    yield _line("pairs", f"{found.pairs:,}")
    yield _line("mean difference", f"{found.mean_difference:+.6f}")
    for quantile, value in zip(QUANTILES, found.quantiles, strict=True):
        yield _line(f"difference p{quantile * 100:g}", f"{value:+.6f}")
    yield _line("largest difference", f"{found.largest_difference:.6f}")
    if found.differing_decisions is not None:
        share = found.differing_decisions / found.pairs
        yield _line("decided otherwise", f"{found.differing_decisions:,} ({share:.2%})")


def _latencies(group: Sequence[Pair]) -> Iterator[str]:
    spans = ("answer, arrival to log", "shadow, its batch alone")
    for span, answers in zip(spans, zip(*group, strict=True), strict=True):
        half, most = np.quantile([answer.latency_seconds * 1000 for answer in answers], (0.5, 0.99))
        yield _line(span, f"p50 {half:.2f} ms, p99 {most:.2f} ms")


def _line(title: str, text: str) -> str:
    return f"  {title:{_WIDTH}} {text}"


if __name__ == "__main__":
    main()
