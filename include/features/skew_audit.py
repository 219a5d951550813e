"""The skew audit: logged predictions against their features recomputed from the sources as then known."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from hashlib import sha256
from heapq import nsmallest
from pathlib import Path

from include.adapters.files import write_atomically
from include.adapters.ledger.ledger import Ledger
from include.adapters.prediction_log import read
from include.config.settings import Settings
from include.contracts.alerts import AlertContent, AlertKind, Severity
from include.contracts.errors import DataError
from include.contracts.events import SYSTEM
from include.contracts.predictions import PredictionRow, Source
from include.contracts.skew import FeatureSkew, SkewReport
from include.features.materialize import midnight
from include.features.skew import Expectation, Served, expect, judge, summarise
from include.features.skew_history import recomputed
from include.features.skew_requests import Audited, judge_requests, resolved
from include.features.views import View, load_views

ALERT_KIND = AlertKind.FEATURE_SKEW
SAMPLE = 20_000
"""Predictions audited at most."""
_DAY = timedelta(days=1)


def audit_skew(
    settings: Settings, day: date, as_of: datetime, threshold: float = 0.0, sample: int = SAMPLE
) -> SkewReport:
    """Recompute what a day's predictions should have been given, compare, and store the report.

    Each value is held against its view's row as of `predicted_at`, computed from the source rows with
    `ingested_at` < `predicted_at`; a request-time feature against its transform, run on those rows and on
    what the request brought. Which feature is of which view says the version, as the ledger's route has it.

    Args:
        settings: says where log, ledger, sources and reports lie.
        day: UTC day of the predictions' event time.
        as_of: moment of the audit; corrections that arrived before it are told apart.
        threshold: mismatch ratio above which a feature fails.
        sample: predictions audited at most; which ones depends on their ids alone.

    Returns:
        The report, also in `report_path(settings, day)`.

    Raises:
        DataError: a segment of the log is damaged.
        SourceError: a source cannot be read.
        ContractError: a view's query or a transform fails.
    """
    start = midnight(day)
    logged, rows = _sampled(_enriched(settings.predictions_folder, start), sample)
    with closing(Ledger(settings.ledger_uri)) as ledger:
        audited = resolved(settings, ledger, rows)
    features = _compared(settings, audited, as_of)
    report = SkewReport(
        start=start,
        end=start + _DAY,
        as_of=as_of,
        logged=logged,
        audited=len(audited),
        unresolved=len(rows) - len(audited),
        threshold=threshold,
        features=tuple(features),
    )
    write_atomically(report_path(settings, day), (report.model_dump_json(indent=2) + "\n").encode())
    return report


def report_path(settings: Settings, day: date) -> Path:
    """Return where a day's report lies."""
    return settings.skew_folder / f"{day.isoformat()}.json"


def read_report(settings: Settings, day: date) -> SkewReport:
    """Return a day's report.

    Raises:
        DataError: the day was not audited.
    """
    path = report_path(settings, day)
    if not path.is_file():
        raise DataError(f"{day} was not audited for skew: {path} is missing; run `features_skew_audit`")
    return SkewReport.model_validate_json(path.read_text(encoding="utf-8"))


def alert_on(report: SkewReport, ledger: Ledger) -> list[str]:
    """Keep one alert open for each model with failing features; return the models.

    The alert names figures and prediction ids, no entity and no feature value. A model without a failure has
    its alert resolved.
    """
    failing: defaultdict[str, list[FeatureSkew]] = defaultdict(list)
    for item in report.failures:
        failing[item.model].append(item)
    for model, items in failing.items():
        ledger.raise_alert(_alert(report, model, items), SYSTEM)
    for model in sorted({item.model for item in report.features} - failing.keys()):
        ledger.resolve_if_open(_alert(report, model, []), SYSTEM, f"no skew on {report.start:%Y-%m-%d}")
    return list(failing)


def _alert(report: SkewReport, model: str, items: list[FeatureSkew]) -> AlertContent:
    names = ", ".join(f"{item.reference} {item.mismatch_ratio:.2%}" for item in items)
    return AlertContent(
        kind=ALERT_KIND,
        subject=f"model:{model}",
        model=model,
        severity=Severity.CRITICAL,
        message=f"served features differ from their recomputation on {report.start:%Y-%m-%d}: {names}",
        figures={
            item.reference: {
                "mismatch_ratio": item.mismatch_ratio,
                "stale_ratio": item.stale_ratio,
                "compared": item.compared,
                "prediction_ids": [example.prediction_id for example in item.examples],
            }
            for item in items
        },
    )


def _enriched(folder: Path, start: datetime) -> Iterator[PredictionRow]:
    """Yield the predictions whose features the platform itself read."""
    rows = read(folder, start, start + _DAY)
    return (row for row in rows if row.source is Source.LIVE and row.features)


def _sampled(rows: Iterable[PredictionRow], size: int) -> tuple[int, list[PredictionRow]]:
    """Return how many rows there are and those with the smallest hashes, by moment of prediction."""
    count = 0

    def counted() -> Iterator[PredictionRow]:
        nonlocal count
        for row in rows:
            count += 1
            yield row

    chosen = nsmallest(size, counted(), key=lambda row: sha256(row.prediction_id.encode()).digest())
    return count, sorted(chosen, key=lambda row: (row.predicted_at, row.prediction_id))


def _compared(settings: Settings, audited: Sequence[Audited], as_of: datetime) -> list[FeatureSkew]:
    expected: dict[str, dict[str, Expectation]] = {item.row.prediction_id: {} for item in audited}
    found: list[FeatureSkew] = []
    for view in load_views(settings).values():
        if served := _served(view, audited):
            history = recomputed(settings, view, served, as_of)
            told = [expect(item, history, as_of) for item in served]
            for item, expectation in zip(served, told, strict=True):
                expected[item.prediction_id][view.name] = expectation
            judged = (judge(item.values, each) for item, each in zip(served, told, strict=True))
            found += summarise(view.name, zip(served, judged, strict=True))
    return found + summarise(None, judge_requests(audited, expected))


def _served(view: View, audited: Sequence[Audited]) -> list[Served]:
    """Return what the predictions got from a view, of the features their version names by it."""
    return [
        Served(
            prediction_id=row.prediction_id,
            model=row.model,
            values={name: row.features[name] for name in signature.views[view.name]},
            key=row.entity[view.definition.entity.name],
            predicted_at=row.predicted_at,
            stamp=row.feature_timestamps[view.name],
            recorded_at=row.recorded_at,
        )
        for row, signature in ((item.row, item.signature) for item in audited)
        if view.name in signature.views
    ]
