"""The label store: Parquet under `<labels>/<model>/`, one file per event day, rows never taken back.

A value that comes out differently later is a new row with the next version, known from the moment it was
found out; the old row stays, so what was known at any moment can be read again.
"""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb
import pyarrow
import pyarrow.parquet
from pyarrow import compute

from include.adapters.parquet import write_table
from include.config.settings import Settings
from include.contracts.labels import LABEL_COLUMNS

_MOMENT = pyarrow.timestamp("us", "UTC")
SCHEMA = pyarrow.schema(
    [
        pyarrow.field(name, kind, nullable=False)
        for name, kind in zip(
            LABEL_COLUMNS,
            (
                pyarrow.string(),
                pyarrow.string(),
                _MOMENT,
                _MOMENT,
                pyarrow.float64(),
                pyarrow.int64(),
                pyarrow.string(),
            ),
            strict=True,
        )
    ]
)
"""Schema of a label file."""

# A row is new where its unit has none that was known by $as_of, and corrects where the latest such row
# says otherwise; a recomputation of the past never overrules what was found out after it.
_NEW_ROWS = """
WITH history AS (
    SELECT unit, event_at, max(version) AS version, max(known_at) AS known_at, max_by(value, version) AS value
    FROM stored
    GROUP BY ALL
)
SELECT
    $model AS model,
    computed.unit,
    computed.event_at,
    CASE WHEN date_trunc('day', computed.event_at) IN (SELECT date_trunc('day', event_at) FROM stored)
        THEN greatest(computed.known_at, $as_of) ELSE computed.known_at END AS known_at,
    computed.value,
    coalesce(history.version, 0) + 1 AS version,
    $source AS source
FROM computed
LEFT JOIN history USING (unit, event_at)
WHERE history.unit IS NULL OR (history.value <> computed.value AND history.known_at <= $as_of)
"""


def record_labels(settings: Settings, model: str, labels: pyarrow.Table, source: str, as_of: datetime) -> int:
    """Add labels that are new and corrections of those that changed; equal ones leave their files alone.

    Args:
        settings: says where the label store lies.
        model: name of the model.
        labels: columns unit, event_at, known_at, value; one row per unit and event_at.
        source: what the labels come from.
        as_of: moment the labels were computed for; corrections count as known from then.

    Returns:
        Rows added.
    """
    folder = _folder(settings, model)
    days = sorted({moment.date() for moment in labels["event_at"].unique().to_pylist()})
    stored = _read_days(folder, days)
    added = _query(
        f"{_NEW_ROWS} ORDER BY event_at, unit",
        {"model": model, "source": source, "as_of": as_of},
        stored=stored,
        computed=labels,
    ).cast(SCHEMA)
    by_day = _split(pyarrow.concat_tables([stored, added]))
    for day in _split(added):
        write_table(_path(folder, day), by_day[day].sort_by([(name, "ascending") for name in _ORDER]))
    return int(added.num_rows)


def read_labels(settings: Settings, model: str, known_by: datetime) -> pyarrow.Table:
    """Return what was known by a moment: the latest version of each label with known_at <= `known_by`.

    Returns:
        A table of `SCHEMA`, ordered by event_at and unit; empty if there is none.
    """
    folder = _folder(settings, model)
    if next(folder.glob("*.parquet"), None) is None:
        return SCHEMA.empty_table()
    return _query(
        "SELECT * FROM read_parquet($files) WHERE known_at <= $known_by "
        "QUALIFY row_number() OVER (PARTITION BY unit, event_at ORDER BY version DESC) = 1 "
        "ORDER BY event_at, unit",
        {"files": str(folder / "*.parquet"), "known_by": known_by},
    ).cast(SCHEMA)


def label_history(settings: Settings, model: str, day: date) -> pyarrow.Table:
    """Return every version of the labels whose moment lies on a UTC day.

    Returns:
        A table of `SCHEMA`; empty if there is none.
    """
    return _read_days(_folder(settings, model), [day])


@dataclass(frozen=True)
class LabelledMoments:
    """The labels of a day as they lie in the store."""

    state: str
    """Changes when they do."""
    known_from: datetime
    """Moment by which the first of them is known."""
    known_until: datetime
    """Moment by which all of them are."""


def label_days(settings: Settings, model: str) -> dict[date, LabelledMoments]:
    """Return the days there are labels of; no row is read."""
    found = {}
    for path in sorted(_folder(settings, model).glob("*.parquet")):
        file, metadata = path.stat(), pyarrow.parquet.read_metadata(path)
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        known = [group.column(LABEL_COLUMNS.index("known_at")).statistics for group in groups]
        state = f"{file.st_size}:{file.st_mtime_ns}"
        found[date.fromisoformat(path.stem)] = LabelledMoments(
            state, min(each.min for each in known), max(each.max for each in known)
        )
    return found


_ORDER = ("event_at", "unit", "version")


def _folder(settings: Settings, model: str) -> Path:
    return settings.labels_folder / model


def _path(folder: Path, day: date) -> Path:
    return folder / f"{day.isoformat()}.parquet"


def _read_days(folder: Path, days: list[date]) -> pyarrow.Table:
    paths = [path for path in (_path(folder, day) for day in days) if path.is_file()]
    if not paths:
        return SCHEMA.empty_table()
    return _query("SELECT * FROM read_parquet($files)", {"files": [str(path) for path in paths]}).cast(SCHEMA)


def _split(labels: pyarrow.Table) -> dict[date, pyarrow.Table]:
    days = compute.cast(labels["event_at"], pyarrow.date32())
    return {day: labels.filter(compute.equal(days, day)) for day in days.unique().to_pylist()}


def _query(sql: str, parameters: dict[str, object], **tables: pyarrow.Table) -> pyarrow.Table:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, table in tables.items():
            connection.register(name, table)
        return connection.sql(sql, params=parameters).to_arrow_table()
