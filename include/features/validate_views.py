"""Validation of computed features before they are published."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb

from include.adapters.defects import quoted
from include.adapters.expectations import (
    COUNT_RATIO,
    FIRST,
    FOUND_PREFIX,
    columns_exist,
    counts_are_usual,
    is_fresh,
    judge,
    rows_are_fit,
)
from include.adapters.ledger.ledger import Ledger
from include.adapters.quarantine import keep
from include.adapters.sources import Sources, open_sources
from include.config.settings import Settings
from include.contracts.checks import RowCount
from include.contracts.events import SYSTEM
from include.contracts.quality import Batch, Verdict
from include.contracts.views import TIMESTAMP
from include.features.broken_views import view_alert
from include.features.materialize import midnight, publish_features, staging_folder
from include.features.views import View, offline_folder, used_views


@dataclass(frozen=True)
class StagedView:
    """A view's computed rows before they are published."""

    settings: Settings
    view: View
    days: Sequence[date]
    as_of: datetime

    @property
    def subject(self) -> str:
        """What a verdict and an alert are about."""
        return f"view:{self.view.name}"

    @property
    def shared(self) -> bool:
        """Whether other models may use the view: then nobody goes on without it."""
        return self.view.model_folder is None

    @property
    def folder(self) -> Path:
        """Where the rows lie, one Parquet file a day."""
        return staging_folder(self.settings, self.days, self.as_of) / self.view.name

    def open_sources(self) -> Sources:
        """Open the view's sources and those its checks refer to."""
        checks = self.view.definition.checks
        own = () if self.view.model_folder is None else (self.view.model_folder,)
        needed = {*self.view.definition.sources, *(item.source for item in checks.references.values())}
        return open_sources(self.settings, self.as_of, needed, own)


def validate_views(
    settings: Settings, ledger: Ledger, days: Sequence[date], as_of: datetime
) -> dict[str, int]:
    """Judge the staged days of every view, and publish them only if all shared views are fit.

    An unfit view of a model's own folder is left out: the others are published.

    Args:
        settings: says where features lie.
        ledger: gets an alert for an unfit view; the alert of one that is fit again is resolved.
        days: the days that were staged.
        as_of: the moment they were computed as of.

    Returns:
        Expectations met, by published view.

    Raises:
        DataError: a shared view is unfit; nothing is published, and its rows are kept in quarantine.
    """
    folder = staging_folder(settings, days, as_of)
    views = [
        StagedView(settings, view, days, as_of)
        for name, view in used_views(settings).items()
        if (folder / name).is_dir()
    ]
    verdicts = [_judged(staged) for staged in views]
    kept = [_settle(ledger, staged, verdict) for staged, verdict in zip(views, verdicts, strict=True)]
    if not all(verdict.passed for staged, verdict in zip(views, verdicts, strict=True) if staged.shared):
        shutil.rmtree(folder)
    for staged, verdict, path in zip(views, verdicts, kept, strict=True):
        if staged.shared:
            verdict.check(str(path))
    fit = {
        staged.view.name: verdict.evaluated
        for staged, verdict in zip(views, verdicts, strict=True)
        if verdict.passed
    }
    publish_features(settings, days, as_of, fit)
    return fit


def _judged(staged: StagedView) -> Verdict:
    definition, checks = staged.view.definition, staged.view.definition.checks
    key = (definition.entity.name, TIMESTAMP)
    suite = columns_exist(definition.columns)
    suite += rows_are_fit(checks.model_copy(update={"key": key, "repeated_ratio": 0.0}), key)
    suite.append(is_fresh(TIMESTAMP, midnight(max(staged.days))))
    with staged.open_sources() as sources:
        files = str(staged.folder / "*.parquet")
        frame = sources.connection.execute(_rows_query(staged.view), [files]).df()
        verdict = judge(staged.subject, frame, suite)
        if checks.rows:
            counts = _daily_counts(sources, staged, checks.rows).df()
            verdict += judge(staged.subject, counts, [counts_are_usual(checks.rows)])
    return verdict


def _rows_query(view: View) -> str:
    definition = view.definition
    marks = "".join(
        f", ({quoted(name)} IN (SELECT {quoted(item.column)} FROM {quoted(item.source)}))"  # noqa: S608
        f" AS {quoted(FOUND_PREFIX + name)}"
        for name, item in definition.checks.references.items()
    )
    key = quoted(definition.entity.name)
    return (
        f"SELECT * REPLACE ({TIMESTAMP}::TIMESTAMP AS {TIMESTAMP}), "  # noqa: S608 - names are validated
        f"row_number() OVER (PARTITION BY {key}, {TIMESTAMP}) = 1 AS {FIRST}{marks} FROM read_parquet(?)"
    )


def _daily_counts(sources: Sources, staged: StagedView, rows: RowCount) -> duckdb.DuckDBPyRelation:
    """Return each staged day's rows against the mean of the days before it, staged or published."""
    earliest = f"{(min(staged.days) - rows.trailing).isoformat()}.parquet"
    published = offline_folder(staged.settings, staged.view.name).glob("*.parquet")
    files = {path.name: str(path) for path in published if path.name >= earliest}
    files |= {path.name: str(path) for path in staged.folder.glob("*.parquet")}
    judged = ", ".join(f"DATE '{day}'" for day in staged.days)
    span = rows.trailing.days
    query = (
        f"SELECT day, rows / usual AS {COUNT_RATIO} FROM (SELECT day, rows, "  # noqa: S608 - dates and names
        "avg(rows) OVER earlier AS usual, count(*) OVER earlier AS known FROM "
        f"(SELECT {TIMESTAMP}::DATE AS day, count(*) AS rows FROM read_parquet(?) GROUP BY ALL) "
        f"WINDOW earlier AS (ORDER BY day RANGE BETWEEN INTERVAL {span} DAY PRECEDING AND "
        f"INTERVAL 1 DAY PRECEDING)) WHERE day IN ({judged}) AND known * 4 >= {span}"
    )
    return sources.connection.sql(query, params=[sorted(files.values())])


def _settle(ledger: Ledger, staged: StagedView, verdict: Verdict) -> Path | None:
    folder = staged.view.model_folder
    failed = [f"{item.expectation}({item.column or 'table'})" for item in verdict.failures]
    content = view_alert(
        staged.view.name,
        folder.name if folder else None,
        "is not fit for use and was not published",
        {"failed": failed},
    )
    if verdict.passed:
        ledger.resolve_if_open(content, SYSTEM, "validation passed")
        return None
    result = {
        "passed": False,
        "failures": [asdict(failure) for failure in verdict.failures],
        "suites": list(verdict.results),
    }
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        files = str(staged.folder / "*.parquet")
        rows = connection.sql("SELECT * FROM read_parquet(?)", params=[files]).to_arrow_table()
    batch = Batch(min(staged.days), max(staged.days), staged.as_of)
    path = keep(staged.settings, staged.view.name, batch.name, rows, result)
    ledger.raise_alert(content, SYSTEM)
    return path
