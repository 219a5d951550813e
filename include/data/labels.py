"""Labels of a model: its `label.sql` over midnights, kept only where the truth is in.

The query reads its sources and a relation `moments(event_at TIMESTAMP)`, and gives the entity's key,
`event_at`, `known_at` and `value`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyarrow
from pyarrow import compute

from include.adapters.engines import EngineError, open_engine
from include.adapters.label_store import record_labels
from include.adapters.sources import Sources, open_sources, tables_of
from include.config.models import LABEL_NAME, ModelFolder
from include.config.settings import Settings
from include.contracts.errors import ContractError
from include.contracts.model import ModelContract

MOMENTS = "moments"
"""Relation of the moments to label."""
SOURCE = LABEL_NAME
"""`source` of the rows written here."""

_DAY = timedelta(days=1)
_CHUNK = timedelta(days=31)


def compute_labels(
    settings: Settings, folder: ModelFolder, start: datetime, end: datetime, as_of: datetime
) -> int:
    """Label the midnights (UTC) in [start, end) and record what is known as of a moment.

    A label is left out while `known_at` lies after `as_of`, or after the moment up to which the sources are
    complete: silence there says nothing about the unit. Run again later, it is added then.

    Returns:
        Rows added to the label store: new labels and corrections.

    Raises:
        SourceError: a source lacks a column or cannot be read.
        ContractError: label.sql fails, gives other columns, doubles a label, or breaks the contract's delay.
    """
    sql = (folder.path / LABEL_NAME).read_text(encoding="utf-8")
    names = tables_of(sql) - {MOMENTS}
    added = 0
    with open_sources(settings, as_of, names, (folder.path,), open_engine(settings)) as sources:
        known_by = min(as_of, sources.covered_until())
        for first, last in _chunks(start, min(end, known_by)):
            sources.engine.register(MOMENTS, _moments(first, last))
            labels = _labels(sources, folder, sql, known_by)
            added += record_labels(settings, folder.name, labels, SOURCE, as_of)
    return added


def _chunks(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        yield start, min(start + _CHUNK, end)
        start += _CHUNK


def _moments(start: datetime, end: datetime) -> pyarrow.Table:
    """Return the midnights in [start, end)."""
    first, last = _ceiling(start), _naive(end)
    moments = [first + number * _DAY for number in range(-(-(last - first) // _DAY))]
    return pyarrow.table({"event_at": pyarrow.array(moments, pyarrow.timestamp("us"))})


def _labels(sources: Sources, folder: ModelFolder, sql: str, known_by: datetime) -> pyarrow.Table:
    contract = folder.contract
    key, engine = contract.entity.name, sources.engine
    try:
        columns = engine.columns(sql)
        if set(columns) != {key, "event_at", "known_at", "value"}:
            raise ContractError(
                f"{contract.name}: {LABEL_NAME} gives {', '.join(columns)}; "
                f"it must give {key}, event_at, known_at, value"
            )
        labels = engine.table(
            f'SELECT CAST("{key}" AS VARCHAR) AS unit, CAST(event_at AS TIMESTAMPTZ) AS event_at, '  # noqa: S608
            "CAST(known_at AS TIMESTAMPTZ) AS known_at, CAST(value AS DOUBLE) AS value "
            f"FROM ({sql}\n) AS labels "
            f"WHERE known_at <= TIMESTAMP '{_naive(known_by)}' OR known_at IS NULL ORDER BY event_at, unit"
        )
    except EngineError as error:
        raise ContractError(f"{folder.path / LABEL_NAME}: the query fails: {error}") from error
    _check(contract, labels)
    return labels


def _check(contract: ModelContract, labels: pyarrow.Table) -> None:
    for name in labels.column_names:
        if labels[name].null_count:
            raise ContractError(
                f"{contract.name}: {LABEL_NAME} gives {labels[name].null_count} rows without {name}"
            )
    counted = labels.group_by(["unit", "event_at"]).aggregate([([], "count_all")])
    doubled = counted.filter(compute.greater(counted["count_all"], 1))
    if doubled.num_rows:
        raise ContractError(
            f"{contract.name}: {LABEL_NAME} gives more than one row for {doubled.slice(0, 1).to_pylist()}"
        )
    delays = compute.subtract(labels["known_at"], labels["event_at"]).unique().to_pylist()
    wrong = [delay for delay in delays if not timedelta() <= delay <= contract.label.delay]
    if wrong:
        raise ContractError(
            f"{contract.name}: {LABEL_NAME} knows a label {wrong[0]} after its moment; "
            f"the contract's label.delay is {contract.label.delay}"
        )


def _ceiling(moment: datetime) -> datetime:
    naive = _naive(moment)
    floor = naive.replace(hour=0, minute=0, second=0, microsecond=0)
    return floor if floor == naive else floor + _DAY


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
