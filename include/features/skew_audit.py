"""The skew audit: logged predictions against their features recomputed from the sources as then known."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from heapq import nsmallest
from pathlib import Path

import pyarrow
from pyarrow import compute

from include.adapters.files import write_atomically
from include.adapters.ledger.ledger import Ledger
from include.adapters.prediction_log import read
from include.adapters.sources import open_sources
from include.config.settings import Settings
from include.contracts.alerts import AlertContent, Severity
from include.contracts.errors import DataError
from include.contracts.events import SYSTEM
from include.contracts.predictions import FeatureValue, PredictionRow, Source
from include.contracts.routes import EntityType
from include.contracts.skew import FeatureSkew, SkewReport
from include.features.materialize import compute_rows, midnight
from include.features.skew import History, Row, Served, judge, summarise
from include.features.views import TIMESTAMP, View, load_views

ALERT_KIND = "feature_skew"
SAMPLE = 20_000
"""Predictions audited at most."""
_DAY = timedelta(days=1)
_ENRICHED = frozenset({Source.LIVE, Source.SHADOW})
_KEY_TYPES = {EntityType.INT64: pyarrow.int64(), EntityType.STRING: pyarrow.string()}
_KEYS = "audited_keys"


def audit_skew(
    settings: Settings, day: date, as_of: datetime, threshold: float = 0.0, sample: int = SAMPLE
) -> SkewReport:
    """Recompute what a day's predictions should have been given, compare, and store the report.

    Each value is held against the view's row as of `predicted_at`, computed from the source rows with
    `ingested_at` < `predicted_at`. Features that no view has (request-time ones) are not compared.

    Args:
        settings: says where log, sources and reports lie.
        day: UTC day of the predictions' event time.
        as_of: moment of the audit; corrections that arrived before it are told apart.
        threshold: mismatch ratio above which a feature fails.
        sample: predictions audited at most; which ones depends on their ids alone.

    Returns:
        The report, also in `report_path(settings, day)`.

    Raises:
        DataError: a segment of the log is damaged.
        SourceError: a source cannot be read.
        ContractError: a view's query fails.
    """
    views, start = load_views(settings), midnight(day)
    logged, rows = _sampled(_enriched(settings.predictions_folder, start), sample)
    features: list[FeatureSkew] = []
    for name, view in views.items():
        served = _served(view, rows)
        if served:
            history = _history(settings, view, served, as_of)
            features += summarise(name, [(item, judge(item, history, as_of)) for item in served])
    report = SkewReport(
        start=start,
        end=start + _DAY,
        as_of=as_of,
        logged=logged,
        audited=len(rows),
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
    names = ", ".join(f"{item.view}.{item.feature} {item.mismatch_ratio:.2%}" for item in items)
    return AlertContent(
        kind=ALERT_KIND,
        subject=f"model:{model}",
        model=model,
        severity=Severity.CRITICAL,
        message=f"served features differ from their recomputation on {report.start:%Y-%m-%d}: {names}",
        figures={
            f"{item.view}.{item.feature}": {
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
    return (row for row in rows if row.source in _ENRICHED and row.features)


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


def _served(view: View, rows: Sequence[PredictionRow]) -> list[Served]:
    """Return what the rows, ascending in time, got from a view."""
    found, newest = [], None
    names = [field.name for field in view.definition.fields]
    for row in rows:
        if view.name not in row.feature_timestamps:
            continue
        stamp = row.feature_timestamps[view.name]
        newest = max((moment for moment in (newest, stamp) if moment), default=None)
        found.append(
            Served(
                prediction_id=row.prediction_id,
                model=row.model,
                key=row.entity[view.definition.entity.name],
                predicted_at=row.predicted_at,
                stamp=stamp,
                values={name: row.features[name] for name in names if name in row.features},
                newest_stamp=newest,
            )
        )
    return found


def _history(settings: Settings, view: View, served: Sequence[Served], as_of: datetime) -> History:
    """Return the view's rows of the served entities, recomputed for each state of knowledge asked for."""
    definition = view.definition
    last = served[-1].predicted_at.astimezone(UTC).date()
    stamps = [item.stamp for item in served if item.stamp]
    is_complete = len(stamps) == len(served)
    reach = last - definition.ttl if not is_complete else min(stamps).astimezone(UTC).date()
    first = min(reach, last)
    keys = pyarrow.array(sorted({item.key for item in served}, key=str), _KEY_TYPES[definition.entity.type])
    changes = _changes(settings, view, keys, midnight(first), as_of)

    def rows(moment: datetime) -> Mapping[int | str, list[Row]]:
        with open_sources(settings, moment, definition.sources, _own(view)) as sources:
            return _by_key(view, compute_rows(sources, view, first, last), keys)

    return History(definition.ttl, changes, rows)


def _changes(
    settings: Settings, view: View, keys: pyarrow.Array, start: datetime, end: datetime
) -> list[datetime]:
    """Return the moments in [start, end) at which rows arrived that days already over are computed from."""
    found: set[datetime] = set()
    with open_sources(settings, end, view.definition.sources, _own(view)) as sources:
        sources.connection.register(_KEYS, pyarrow.table({"key": keys}))
        for name, source in sources.definitions.items():
            arrival, event = source.ingested_at, source.event_at
            if arrival is None:
                continue
            key = view.definition.entity.name
            late = f'AND "{event}" < date_trunc(\'day\', "{arrival}")' if event else ""
            ours = f'AND "{key}" IN (SELECT key FROM {_KEYS})' if key in source.columns else ""  # noqa: S608
            query = f'SELECT DISTINCT "{arrival}" FROM "{name}" WHERE "{arrival}" >= ? {late} {ours}'  # noqa: S608
            naive = start.replace(tzinfo=None)
            arrived = sources.connection.execute(query, [naive]).fetchall()
            found |= {moment.replace(tzinfo=UTC) for (moment,) in arrived}
    return sorted(found)


def _by_key(view: View, table: pyarrow.Table, keys: pyarrow.Array) -> dict[int | str, list[Row]]:
    key = view.definition.entity.name
    found: defaultdict[int | str, list[Row]] = defaultdict(list)
    for row in table.filter(compute.is_in(table[key], keys)).to_pylist():
        values = {field.name: _served_form(row[field.name]) for field in view.definition.fields}
        found[row[key]].append(Row(row[TIMESTAMP], values))
    return dict(found)


def _served_form(value: FeatureValue | datetime) -> FeatureValue:
    """Return a value as the online store gives it: a moment as whole seconds."""
    return int(value.timestamp()) if isinstance(value, datetime) else value


def _own(view: View) -> tuple[Path, ...]:
    return () if view.model_folder is None else (view.model_folder,)
