"""Validation of the sources before anything is computed from them.

Rows with a defect of their own are set aside and counted: features never see them. A batch that is unfit as
a whole (a column missing, too many defects, stale, far fewer rows than usual) stops the run; the batch and
the verdict are kept in quarantine, and an alert is raised.
"""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow

from include.adapters.defects import literal, quoted
from include.adapters.duckdb_engine import DuckDBEngine
from include.adapters.expectations import (
    FIRST,
    FOUND_PREFIX,
    columns_exist,
    counts_are_usual,
    is_fresh,
    judge,
    rows_are_fit,
)
from include.adapters.ledger.ledger import Ledger
from include.adapters.quarantine import REASON, keep
from include.adapters.source_definitions import (
    SHARED_SOURCES,
    LocatedSource,
    locate_source,
    source_names,
)
from include.adapters.sources import Sources, examine_sources
from include.config.settings import Settings
from include.contracts.alerts import AlertContent, AlertKind
from include.contracts.events import SYSTEM
from include.contracts.quality import Batch, Failure, Verdict
from include.contracts.sources import SOURCES_NAME, SourceDefinition
from include.data.batch_rows import SourceReport, create_batch, daily_counts, set_aside, whole_batch

ALERT_KIND = AlertKind.DATA_QUALITY


def validate_sources(
    settings: Settings, ledger: Ledger, batch: Batch, now: datetime
) -> dict[str, SourceReport]:
    """Judge every source's rows that a run is about to use; all are judged before any stops the run.

    Args:
        settings: says where sources lie.
        ledger: gets an alert for an unfit source; the alert of one that is fit again is resolved.
        batch: the run's days and moment.
        now: wall time; an event after it is from the future, whatever moment is replayed.

    Returns:
        A report by source.

    Raises:
        DataError: a source is unfit; names the expectations and where the batch is kept.
        SourceError: a source cannot be read.
    """
    reports: dict[str, SourceReport] = {}
    unfit: list[tuple[Verdict, Path]] = []
    for name, folders in _all_sources(settings):
        verdict, report, kept = _validate(
            settings, locate_source(settings, name, folders), folders, batch, now
        )
        _tell(ledger, verdict, kept)
        reports[name] = report
        unfit += [] if verdict.passed else [(verdict, kept)]
    for verdict, kept in unfit:
        verdict.check(str(kept))
    return reports


def _all_sources(settings: Settings) -> Iterator[tuple[str, tuple[Path, ...]]]:
    for name in source_names(SHARED_SOURCES):
        yield name, ()
    for root in settings.model_folders:
        for folder in sorted(root.glob(f"*/{SOURCES_NAME}")):
            for name in source_names(folder):
                yield name, (folder.parent,)


def _validate(
    settings: Settings, located: LocatedSource, folders: tuple[Path, ...], batch: Batch, now: datetime
) -> tuple[Verdict, SourceReport, Path]:
    source = located.definition
    schema, raw = _schema(located)
    if not schema.passed:
        kept = keep(settings, source.name, batch.name, raw, _result(schema, None))
        return schema, SourceReport(0, {}, {}), kept
    names = {source.name, *(reference.source for reference in source.checks.references.values())}
    with examine_sources(settings, batch.as_of, names, folders) as sources:
        create_batch(sources, source, batch)
        try:
            verdict = schema + _judged(sources, source, batch)
        except duckdb.ConversionException as error:
            verdict = schema + _not_read(source, error)
            kept = keep(settings, source.name, batch.name, raw, _result(verdict, None))
            return verdict, SourceReport(0, {}, {}), kept
        aside, report = set_aside(sources, source, batch, now)
        rows = aside if verdict.passed else whole_batch(sources)
        kept = keep(settings, source.name, batch.name, rows, _result(verdict, report))
        return verdict, report, kept


def _schema(located: LocatedSource) -> tuple[Verdict, pyarrow.Table]:
    """Judge the raw columns; what comes with it is the raw rows if they are unfit, else none of them."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        raw = located.raw(DuckDBEngine(connection)).types
        needed = [item.column for item in located.definition.columns.values() if item.otherwise is None]
        query = f"SELECT * FROM {located.relation} LIMIT 0"  # noqa: S608 - the URI is quoted
        empty = connection.sql(query).df()
        verdict = judge(f"source:{located.definition.name}", empty, columns_exist(needed))
        missing = ", ".join(located.missing(raw))
        reason = literal(f"lacks {missing}" if missing else "a value is of the wrong type")
        limit = "" if missing else " LIMIT 0"
        query = f"SELECT *, {reason} AS {REASON} FROM {located.relation}{limit}"  # noqa: S608 - quoted
        return verdict, connection.sql(query).to_arrow_table()


def _judged(sources: Sources, source: SourceDefinition, batch: Batch) -> Verdict:
    subject = f"source:{source.name}"
    checked = sorted({*source.required, *source.checks.named, *filter(None, [source.event_at])})
    marks = [FOUND_PREFIX + name for name in source.checks.references] + [FIRST] * bool(source.checks.key)
    columns = ", ".join(quoted(name) for name in (*checked, *marks))
    suite = rows_are_fit(source.checks, source.required)
    if source.event_at and source.checks.fresh_within:
        suite.append(is_fresh(source.event_at, batch.as_of - source.checks.fresh_within))
    frame = sources.connection.sql(f"SELECT {columns} FROM batch").df()  # noqa: S608 - names are validated
    verdict = judge(subject, frame, suite)
    if source.event_at and source.checks.rows:
        days = sources.connection.sql(daily_counts(source, source.checks.rows, batch)).df()
        verdict += judge(subject, days, [counts_are_usual(source.checks.rows)])
    return verdict


def _not_read(source: SourceDefinition, error: duckdb.ConversionException) -> Verdict:
    failure = Failure("column_types", None, str(error).splitlines()[0], {})
    return Verdict(f"source:{source.name}", (failure,), 1)


def _result(verdict: Verdict, report: SourceReport | None) -> dict[str, object]:
    return {
        "passed": verdict.passed,
        "failures": [asdict(failure) for failure in verdict.failures],
        "report": None if report is None else asdict(report),
        "suites": list(verdict.results),
    }


def _tell(ledger: Ledger, verdict: Verdict, kept: Path) -> None:
    content = AlertContent(
        kind=ALERT_KIND,
        subject=verdict.subject,
        message=f"{verdict.subject} is not fit for use; the batch is kept at {kept}",
        figures={"failed": [f"{item.expectation}({item.column or 'table'})" for item in verdict.failures]},
    )
    if verdict.passed:
        ledger.resolve_if_open(content, SYSTEM, "validation passed")
    else:
        ledger.raise_alert(content, SYSTEM)
