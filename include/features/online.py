"""Online features: the latest row of every entity as of a day, brought to the online store."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time

import duckdb
import pyarrow
from feast import FeatureStore, FeatureView
from feast.utils import _convert_arrow_to_proto, _get_column_names

from include.adapters.defects import quoted
from include.adapters.online_backend import is_redis
from include.config.settings import EngineName, Settings
from include.contracts.errors import DataError
from include.contracts.views import TIMESTAMP
from include.features.computed_days import record_online
from include.features.store import open_store
from include.features.views import Tell, View, confined, log_broken, offline_folder, used_views


def materialize_online(settings: Settings, day: date, tell: Tell = log_broken) -> dict[str, int]:
    """Bring each view's values stamped at or before a day online, as far back as its TTL reaches.

    A value online is never replaced by an older one, so days may run in any order. Rows travel in chunks of
    `settings.online_chunk_rows` entities, so memory is bounded by a chunk (and by the keys: DuckDB holds
    each entity's newest day). In SQLite the run is one transaction: killed anywhere, it leaves the store as
    it was, and readers see nothing of it until it is whole. In Redis an entity's values of a view change
    together; a killed run leaves some entities old and some new, and running again completes it. Where Spark
    is the engine, its workers write to Redis; SQLite is this machine's, and rows pass through it.

    Args:
        settings: says where features lie.
        day: the day.
        tell: gets each view of a model's own folder that fails.

    Returns:
        Entities by view that have a row in the window; a model folder's own view that fails is left out.

    Raises:
        DataError: a view's features were not computed for the day; nothing is written.
    """
    store = open_store(settings)
    views = {
        name: view
        for name, view in used_views(settings, tell).items()
        if _is_computed(settings, view, day, tell)
    }
    provider = store._get_provider()
    with provider.online_store.one_write(store.config):
        counts = {name: _bring(settings, store, view, day) for name, view in views.items()}
    for name in counts:
        record_online(settings, name, day, datetime.now(UTC))
    return counts


def newest_rows(settings: Settings, view: View, day: date) -> Iterator[pyarrow.RecordBatch]:
    """Yield each entity's newest row stamped at or before a day and within the TTL, chunk by chunk."""
    start, end = _window(view, day)
    folder = offline_folder(settings, view.name)
    files = [
        str(path) for path in sorted(folder.glob("*.parquet")) if str(start.date()) <= path.stem <= str(day)
    ]
    key = quoted(view.definition.entity.name)
    columns = ", ".join(quoted(name) for name in view.definition.columns)
    window = f"FROM read_parquet($files) WHERE {TIMESTAMP} BETWEEN $start AND $end"
    # The files are scanned twice, so that only keys and days are held while rows stream by.
    query = (
        f"SELECT {columns} FROM (SELECT {columns} {window}) JOIN "  # noqa: S608 - names are validated
        f"(SELECT {key}, max({TIMESTAMP}) AS {TIMESTAMP} {window} GROUP BY ALL) USING ({key}, {TIMESTAMP})"
    )
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.sql(query, params={"files": files, "start": start, "end": end})
        yield from found.to_arrow_reader(settings.online_chunk_rows)


def _bring(settings: Settings, store: FeatureStore, view: View, day: date) -> int:
    feast_view = store.get_feature_view(view.name)
    if settings.engine is EngineName.SPARK and is_redis(settings):
        return _spread(store, feast_view, *_window(view, day))
    return _write(store, feast_view, newest_rows(settings, view, day))


def _window(view: View, day: date) -> tuple[datetime, datetime]:
    """Return the first and the last moment whose rows may be used on a day."""
    end = datetime.combine(day, time(), UTC)
    return end - view.definition.ttl, end


def _spread(store: FeatureStore, view: FeatureView, start: datetime, end: datetime) -> int:
    """Let Feast's compute engine write from where the rows are."""
    provider, entities = store._get_provider(), [store.get_entity(name) for name in view.entities]
    provider.materialize_single_feature_view(
        store.config, view, start, end, store.registry, store.project, tqdm_builder=None
    )
    names = _get_column_names(view, entities)
    newest = provider.offline_store.pull_latest_from_table_or_query(
        store.config, view.batch_source, *names, start, end
    )
    return int(newest.to_spark_df().count())


def _write(store: FeatureStore, view: FeatureView, batches: Iterator[pyarrow.RecordBatch]) -> int:
    keys = {column.name: column.dtype.to_value_type() for column in view.entity_columns}
    provider = store._get_provider()
    rows = 0
    for batch in batches:
        if batch.num_rows:
            provider.online_write_batch(store.config, view, _convert_arrow_to_proto(batch, view, keys), None)
        rows += batch.num_rows
    return rows


def _is_computed(settings: Settings, view: View, day: date, tell: Tell) -> bool:
    path = offline_folder(settings, view.name) / f"{day.isoformat()}.parquet"
    with confined(view.model_folder, view.name, tell):
        if not path.is_file():
            raise DataError(
                f"view {view.name!r} is not computed for {day}: {path} is missing; compute it first"
            )
    return path.is_file()
