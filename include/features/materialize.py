"""Features of days: each view's query, month by month, staged, then published as one Parquet file a day."""

import filecmp
import shutil
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pyarrow
from pyarrow import compute

from include.adapters.engines import EngineError, open_engine
from include.adapters.files import sync
from include.adapters.parquet import write_table
from include.adapters.sources import Sources, open_sources
from include.config.settings import Settings
from include.contracts.errors import ContractError, DataError
from include.contracts.quality import Batch
from include.contracts.sources import ColumnType
from include.contracts.views import TIMESTAMP
from include.features.computed_days import record_computed
from include.features.views import DAYS, Tell, View, confined, log_broken, offline_folder, used_views

_SQL_TYPES = {
    ColumnType.INT64: "BIGINT",
    ColumnType.FLOAT64: "DOUBLE",
    ColumnType.STRING: "VARCHAR",
    ColumnType.BOOL: "BOOLEAN",
    ColumnType.TIMESTAMP: "TIMESTAMPTZ",
}

_MONTHS_AT_ONCE = 2
"""One month's query leaves cores idle; more at once would only take more memory."""


def compute_features(
    settings: Settings, first: date, last: date, as_of: datetime, only: Collection[str] | None = None
) -> dict[str, int]:
    """Compute and publish the views that models use, for the days from `first` to `last`, both included.

    Nothing is published before everything is computed. Each day is published in one step and only when its
    rows changed; memory is bounded by the rows of two months.

    Args:
        settings: says where sources and features lie.
        first: first day.
        last: last day.
        as_of: only source rows with `ingested_at` < `as_of` are seen.
        only: names of the views to compute; None means all.

    Returns:
        Rows by view; a model folder's own view that fails is logged and left out.

    Raises:
        DataError: `as_of` lies before the last day, or a day has no rows; nothing is published.
        SourceError: a source lacks a column or cannot be read; nothing is published.
        ContractError: a view is not what its definition says; nothing is published.
    """
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    counts = stage_features(settings, days, as_of, only)
    publish_features(settings, days, as_of, counts)
    return counts


def stage_features(
    settings: Settings,
    days: Sequence[date],
    as_of: datetime,
    only: Collection[str] | None = None,
    tell: Tell = log_broken,
) -> dict[str, int]:
    """Compute views for days into the staging folder, where nobody reads; see `compute_features`.

    `tell` gets each view of a model's own folder that fails.
    """
    if not days:
        raise DataError("there are no days to compute; the first must not lie after the last")
    if as_of < midnight(max(days)):
        raise DataError(f"as of {as_of} the day before {max(days)} is not over yet; compute an earlier day")
    shutil.rmtree(staging_folder(settings, days, as_of), ignore_errors=True)
    counts = {}
    for name, view in used_views(settings, tell).items():
        if only is None or name in only:
            with confined(view.model_folder, name, tell):
                counts[name] = _stage_view(settings, view, days, as_of)
    return counts


def publish_features(
    settings: Settings, days: Sequence[date], as_of: datetime, names: Collection[str]
) -> None:
    """Move staged days to where they are read, one by one, each in one step; equal ones stay as they are.

    Args:
        settings: says where features lie.
        days: the days that were staged.
        as_of: the moment they were staged as of.
        names: the views that were staged.

    Raises:
        DataError: a day was not staged; nothing is published.
    """
    views = [view for name, view in used_views(settings).items() if name in names]
    staged = {view.name: _staged_files(settings, view.name, days, as_of) for view in views}
    for view in views:
        _publish(staged[view.name], offline_folder(settings, view.name))
        record_computed(settings, view, days, as_of)
    shutil.rmtree(staging_folder(settings, days, as_of), ignore_errors=True)


def staging_folder(settings: Settings, days: Sequence[date], as_of: datetime) -> Path:
    """Return where a run's days lie until they are published, one folder a view."""
    return settings.features_folder / "staging" / Batch(min(days), max(days), as_of).name


def midnight(day: date) -> datetime:
    """Return the aware UTC moment a day begins."""
    return datetime.combine(day, time(), UTC)


def months(first: date, last: date) -> Iterator[tuple[date, date]]:
    """Part the days from `first` to `last` at the ends of months."""
    while first <= last:
        end = min((first.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1), last)
        yield first, end
        first = end + timedelta(days=1)


def spans(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """Yield the first and last day of each unbroken row of days, parted at the ends of months."""
    ordered = sorted(set(days))
    start = 0
    for end, day in enumerate(ordered, 1):
        if end == len(ordered) or ordered[end] - day > timedelta(days=1):
            yield from months(ordered[start], day)
            start = end


def _stage_view(settings: Settings, view: View, days: Sequence[date], as_of: datetime) -> int:
    own = () if view.model_folder is None else (view.model_folder,)
    folder = staging_folder(settings, days, as_of) / view.name
    with (
        open_sources(settings, as_of, view.definition.sources, own, open_engine(settings)) as sources,
        ThreadPoolExecutor(_MONTHS_AT_ONCE) as pool,
    ):
        return sum(pool.map(lambda span: _stage_span(sources, view, folder, *span), spans(days)))


def _stage_span(opened: Sources, view: View, folder: Path, first: date, last: date) -> int:
    rows, present = 0, set[date]()
    with opened.beside() as sources:
        for table in computed_tables(sources, view, first, last):
            present |= _write_days(folder, table)
            rows += table.num_rows
        _check_days(sources, view, present, first, last)
    return rows


def _staged_files(settings: Settings, view: str, days: Sequence[date], as_of: datetime) -> list[Path]:
    folder = staging_folder(settings, days, as_of) / view
    paths = [folder / f"{day.isoformat()}.parquet" for day in sorted(set(days))]
    missing = next((path for path in paths if not path.is_file()), None)
    if missing is not None:
        raise DataError(f"view {view!r}: {missing} was not computed; run compute_features again")
    return paths


def _publish(staged: Sequence[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in staged:
        published = folder / path.name
        if not published.is_file() or not filecmp.cmp(path, published, shallow=False):
            # The staged file was flushed when it was written.
            path.replace(published)
    sync(folder)


def compute_rows(sources: Sources, view: View, first: date, last: date) -> pyarrow.Table:
    """Return a view's rows for a range of days in one table; see `computed_tables`."""
    return pyarrow.concat_tables(computed_tables(sources, view, first, last))


def computed_tables(sources: Sources, view: View, first: date, last: date) -> Iterator[pyarrow.Table]:
    """Yield a view's rows for a range of days, ordered by day and entity, in the definition's types.

    A day lies whole in one table: on one machine all of them in the same, on a cluster each in its own.

    Raises:
        ContractError: the query fails, gives other columns than the definition, or doubles a row.
    """
    engine = sources.engine
    engine.register(DAYS, _days(first, last))
    try:
        columns = engine.columns(view.sql)
        if set(columns) != set(view.definition.columns):
            raise ContractError(
                f"view {view.name!r}: the query gives {', '.join(columns)}; "
                f"the definition wants {', '.join(view.definition.columns)}"
            )
        for table in engine.tables(_typed(view), TIMESTAMP):
            _check_unique(view, table)
            yield table
    except EngineError as error:
        raise ContractError(f"view {view.name!r} ({view.path}): the query fails: {error}") from error


def _days(first: date, last: date) -> pyarrow.Table:
    midnights = [midnight(first) + timedelta(days=number) for number in range((last - first).days + 1)]
    naive = [moment.replace(tzinfo=None) for moment in midnights]
    return pyarrow.table({"day": pyarrow.array(naive, pyarrow.timestamp("us"))})


def _typed(view: View) -> str:
    definition = view.definition
    key = definition.entity.name
    fields = ", ".join(
        f'CAST("{field.name}" AS {_SQL_TYPES[field.dtype]}) AS "{field.name}"' for field in definition.fields
    )
    return (
        f'SELECT CAST("{key}" AS {_SQL_TYPES[ColumnType(definition.entity.type)]}) AS "{key}", '  # noqa: S608
        f"CAST({TIMESTAMP} AS TIMESTAMPTZ) AS {TIMESTAMP}, {fields} "
        f'FROM ({view.sql}\n) AS computed ORDER BY {TIMESTAMP}, "{key}"'
    )


def _check_unique(view: View, table: pyarrow.Table) -> None:
    key = view.definition.entity.name
    # The rows are ordered by both, so that a doubled one stands beside its twin.
    stamps, keys = table[TIMESTAMP], table[key]
    twins = compute.and_(compute.equal(stamps[1:], stamps[:-1]), compute.equal(keys[1:], keys[:-1]))
    doubled = compute.index(twins, True).as_py()
    if doubled >= 0 or keys.null_count:
        example = table.slice(doubled, 1).to_pylist() if doubled >= 0 else f"a row without {key}"
        raise ContractError(f"view {view.name!r} must give one row per {key} and day, but gives {example}")


def _check_days(sources: Sources, view: View, present: Collection[date], first: date, last: date) -> None:
    days = (first + timedelta(days=offset) for offset in range((last - first).days + 1))
    empty = next((day for day in days if day not in present), None)
    if empty is not None:
        covered = "; ".join(
            f"{name} covers {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
            for name, (start, end) in sources.coverage().items()
        )
        raise DataError(
            f"view {view.name!r} has no rows for {empty}; "
            f"as of {sources.as_of:%Y-%m-%d %H:%M}: {covered or 'no source has a row'}"
        )


def _write_days(folder: Path, table: pyarrow.Table) -> set[date]:
    """Write each day's rows to its own file; return the days."""
    offset, written = 0, set()
    for counted in table[TIMESTAMP].value_counts().to_pylist():
        day = counted["values"].date()
        write_table(folder / f"{day.isoformat()}.parquet", table.slice(offset, counted["counts"]))
        offset += counted["counts"]
        written.add(day)
    return written
