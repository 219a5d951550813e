"""Online features: the latest row of every entity as of a day, brought to the online store."""

from datetime import UTC, date, datetime, time

import duckdb

from include.config.settings import Settings
from include.contracts.errors import DataError
from include.features.store import open_store, registry_lock
from include.features.views import TIMESTAMP, View, confined, offline_folder, used_views


def materialize_online(settings: Settings, day: date) -> dict[str, int]:
    """Bring each view's values stamped at or before a day online, as far back as its TTL reaches.

    A value online is never replaced by an older one, so days may run in any order. Feast's windows include
    both ends; a view's rows become visible together.

    Returns:
        Entities by view that have a row in the window; a model folder's own view that fails is left out.

    Raises:
        DataError: a view's features were not computed for the day.
    """
    end = datetime.combine(day, time(), UTC)
    store = open_store(settings)
    counts = {}
    for name, view in used_views(settings).items():
        with confined(view.model_folder):
            _check_computed(settings, name, day)
            with registry_lock(settings):
                store.refresh_registry()
                store.materialize(end - view.definition.ttl, end, feature_views=[name])
            counts[name] = _entities_in(settings, view, end)
    return counts


def _check_computed(settings: Settings, view: str, day: date) -> None:
    path = offline_folder(settings, view) / f"{day.isoformat()}.parquet"
    if not path.is_file():
        raise DataError(f"view {view!r} is not computed for {day}: {path} is missing; compute it first")


def _entities_in(settings: Settings, view: View, end: datetime) -> int:
    query = (
        f'SELECT count(DISTINCT "{view.definition.entity.name}") FROM read_parquet(?) '  # noqa: S608
        f"WHERE {TIMESTAMP} BETWEEN ? AND ?"
    )
    files = str(offline_folder(settings, view.name) / "*.parquet")
    with duckdb.connect() as connection:
        rows = connection.execute(query, [files, end - view.definition.ttl, end]).fetchall()
    return int(rows[0][0])
