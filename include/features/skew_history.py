"""A view's history for the skew audit: recomputed from the sources as they were known at any moment."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow
from pyarrow import compute

from include.adapters.sources import open_sources
from include.config.settings import Settings
from include.contracts.predictions import FeatureValue
from include.contracts.routes import EntityType
from include.contracts.views import TIMESTAMP
from include.features.computed_days import read_days
from include.features.materialize import compute_rows, midnight
from include.features.skew import History, Row, Served
from include.features.views import View

_KEY_TYPES = {EntityType.INT64: pyarrow.int64(), EntityType.STRING: pyarrow.string()}
_KEYS = "audited_keys"


def recomputed(settings: Settings, view: View, served: Sequence[Served], as_of: datetime) -> History:
    """Return a view's rows of the served entities, recomputed for each state of knowledge asked for.

    Args:
        settings: says where sources lie and what was brought online.
        view: the view.
        served: what predictions got from it, ascending in time; at least one.
        as_of: moment of the audit.
    """
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

    days = read_days(settings, view.name).items()
    online_since = {day: seen.online_since for day, seen in days if seen.online_since is not None}
    return History(definition.ttl, online_since, changes, rows)


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
