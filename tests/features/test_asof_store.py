import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibis
import pandas
import pyarrow
import pyarrow.parquet
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, RequestSource, ValueType
from feast.data_format import ParquetFormat
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64, String
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

EPOCH = datetime(2017, 3, 26, tzinfo=UTC)
TTL = timedelta(minutes=10)
# Feast warns of on-demand views as a whole; what they give is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:On demand feature view is an experimental:RuntimeWarning")
STORES = {
    "asof": "include.features.asof_store.AsofOfflineStore",
    "feast": "duckdb",
}


@dataclass(frozen=True)
class Warehouse:
    """Two Feast stores over one registry and the files of three views."""

    asof: FeatureStore
    feast: FeatureStore
    folder: Path

    def fill(self, rows):
        """Write (key, minute, created, number, word) rows as the views' file."""
        moment = pyarrow.timestamp("us", "UTC")
        types = (pyarrow.int64(), moment, moment, pyarrow.float64(), pyarrow.string())
        columns = zip(*((k, minute(t), minute(c), n, w) for k, t, c, n, w in rows), strict=True)
        names = ("key", "stamped", "created", "number", "word")
        pyarrow.parquet.write_table(
            pyarrow.table({n: pyarrow.array(c, t) for n, c, t in zip(names, columns, types, strict=True)}),
            self.folder / "rows.parquet",
        )


def minute(offset):
    """Return a moment that many minutes after the epoch of these tests."""
    return EPOCH + timedelta(minutes=offset)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """A registry with a view with a TTL, one without, and an on-demand view."""
    folder = tmp_path_factory.mktemp("warehouse")
    stores = {
        name: FeatureStore(
            config=RepoConfig(
                project="test",
                provider="local",
                repo_path=folder,
                registry={"path": str(folder / "registry.db")},
                offline_store={"type": kind},
                online_store={"type": "sqlite", "path": str(folder / "online.db")},
                entity_key_serialization_version=3,
            )
        )
        for name, kind in STORES.items()
    }
    entity = Entity(name="key", join_keys=["key"], value_type=ValueType.INT64)
    views = [view(folder, entity, "brief", TTL), view(folder, entity, "lasting", timedelta())]
    request = RequestSource(name="asked", schema=[Field(name="extra", dtype=Float64)])

    @on_demand_feature_view(
        sources=[views[0], request], schema=[Field(name="total", dtype=Float64)], mode="python"
    )
    def sums(inputs):
        pairs = zip(inputs["number"], inputs["extra"], strict=True)
        return {"total": [None if number is None else number + extra for number, extra in pairs]}

    stores["asof"].apply([entity, *views, sums])
    yield Warehouse(stores["asof"], stores["feast"], folder)
    # ibis keeps its connection past the end of the interpreter, which DuckDB's bindings report as a leak.
    ibis.options.default_backend = None


def view(folder, entity, name, ttl):
    """Return a view over the common file."""
    return FeatureView(
        name=name,
        entities=[entity],
        ttl=ttl,
        schema=[
            Field(name="key", dtype=Int64),
            Field(name="number", dtype=Float64),
            Field(name="word", dtype=String),
        ],
        source=FileSource(
            name=name,
            path=str(folder / "rows.parquet"),
            timestamp_field="stamped",
            created_timestamp_column="created",
            file_format=ParquetFormat(),
        ),
    )


FEATURES = ["brief:number", "brief:word", "lasting:number", "lasting:word"]
COLUMNS = [name.replace(":", "__") for name in FEATURES]


def ask(store, entities, zone="UTC"):
    """Return the features of (key, minute) rows as tuples, in the order they come back."""
    moments = pandas.Series([minute(m) for _, m in entities]).dt.tz_convert(zone)
    frame = pandas.DataFrame(
        {
            "key": [key for key, _ in entities],
            "event_timestamp": moments if zone is not None else moments.dt.tz_localize(None),
            "line": range(len(entities)),
        }
    )
    table = store.get_historical_features(frame, FEATURES, full_feature_names=True).to_arrow()
    return [tuple(row[name] for name in ("line", *COLUMNS)) for row in table.to_pylist()]


def brute_force(rows, entities):
    """Return what `ask` must, by looking at every row for each entity."""
    expected = []
    for line, (key, now) in enumerate(entities):
        past = [row for row in rows if row[0] == key and row[1] <= now]
        newest = max(past, key=lambda row: (row[1], row[2]), default=(None,) * 5)
        fresh = newest[1] is not None and minute(now) - minute(newest[1]) <= TTL
        expected.append((line, *(newest[3:] if fresh else (None, None)), *newest[3:]))
    return expected


KEYS = st.integers(1, 3)
MINUTES = st.integers(0, 25)
ROWS = st.lists(
    st.tuples(KEYS, MINUTES, st.none() | st.integers(-3, 3).map(float), st.none() | st.sampled_from("xyz")),
    min_size=1,
    max_size=25,
).map(lambda rows: [(k, t, 100 + created, n, w) for created, (k, t, n, w) in enumerate(rows)])
ENTITIES = st.lists(st.tuples(st.integers(1, 4), st.integers(-1, 40)), min_size=1, max_size=15)


@hypothesis_settings(max_examples=60, deadline=None)
@given(rows=ROWS, entities=ENTITIES, zone=st.sampled_from(["UTC", None, "America/New_York", "Asia/Kolkata"]))
def test_equals_brute_force(warehouse, rows, entities, zone):
    """Ties, TTL edges, nulls, zones and entities without history: row for row, in the order asked."""
    warehouse.fill(rows)
    assert brute_force(rows, entities) == ask(warehouse.asof, entities, zone)


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
def test_equals_feasts_own_store(warehouse):
    """On a thousand rows with ties and gaps Feast's own DuckDB store gives the same, in its own order."""
    rows = [(i % 40, (i * 7919) % 300, 1000 + i, float(i), str(i)) for i in range(1000)]
    entities = [(i % 45, (i * 104729) % 320) for i in range(1000)]
    warehouse.fill(rows)
    assert sorted(ask(warehouse.feast, entities), key=repr) == sorted(ask(warehouse.asof, entities), key=repr)


def test_the_ttl_includes_its_last_moment(warehouse):
    """A row exactly as old as the TTL counts; a microsecond later it does not."""
    warehouse.fill([(1, 0, 0, 1.5, "x")])
    edge = minute(10)
    frame = pandas.DataFrame({"key": [1, 1], "event_timestamp": [edge, edge + timedelta(microseconds=1)]})
    found = warehouse.asof.get_historical_features(frame, ["brief:number"]).to_df()["number"].tolist()
    assert 1.5 == found[0]
    assert math.isnan(found[1])


def test_on_demand_views_run_on_the_result(warehouse):
    """A request-time view gets the joined feature and the entity row's own column."""
    warehouse.fill([(1, 0, 0, 1.5, "x")])
    frame = pandas.DataFrame({"key": [1, 2], "event_timestamp": [minute(1)] * 2, "extra": [2.0, 2.0]})
    table = warehouse.asof.get_historical_features(frame, ["brief:number", "sums:total"]).to_arrow()
    assert [3.5, None] == table["total"].to_pylist()


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
def test_a_cut_off_by_creation_goes_to_feast(warehouse):
    """What one ASOF join cannot say is answered by Feast's own store."""
    warehouse.fill([(1, 0, 0, 1.0, "x"), (1, 0, 9, 2.0, "y")])
    frame = pandas.DataFrame({"key": [1], "event_timestamp": [minute(5)]})
    store = warehouse.asof
    job = store._get_provider().offline_store.get_historical_features(
        store.config,
        [store.get_feature_view("brief")],
        ["brief:number"],
        frame,
        store.registry,
        "test",
        filter_by_created_timestamp=True,
    )
    assert [1.0] == job.to_df()["number"].tolist()
