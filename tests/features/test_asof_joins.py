"""Joins of several views and keys, against brute force."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas
import pyarrow
import pyarrow.parquet
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.data_format import ParquetFormat
from feast.types import Float64, Int64, String
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from include.contracts.errors import DataError

EPOCH = datetime(2017, 10, 29, tzinfo=UTC)
MOMENT = pyarrow.timestamp("us", "UTC")
SHOP_TTL = timedelta(minutes=7)


@dataclass(frozen=True)
class Warehouse:
    """A Feast store whose two views have files of their own."""

    store: FeatureStore
    folder: Path

    def fill(self, visits, shops):
        """Write (customer, shop, minute, created, spend) and (shop, minute, created, staff) rows."""
        key, number = pyarrow.int64(), pyarrow.float64()
        self._write(
            "visits", ("customer", "shop", "at", "made", "spend"), (key, pyarrow.string()), number, visits
        )
        self._write("shops", ("shop", "at", "made", "staff"), (pyarrow.string(),), number, shops)

    def _write(self, name, columns, keys, number, rows):
        types = (*keys, MOMENT, MOMENT, number)
        told = [(*row[: len(keys)], minute(row[-3]), minute(row[-2]), row[-1]) for row in rows]
        values = zip(*told, strict=True) if told else [()] * len(columns)
        arrays = [pyarrow.array(item, kind) for item, kind in zip(values, types, strict=True)]
        pyarrow.parquet.write_table(
            pyarrow.table(dict(zip(columns, arrays, strict=True))), self.folder / f"{name}.parquet"
        )


def minute(offset):
    """Return a moment that many minutes after the epoch of these tests."""
    return EPOCH + timedelta(minutes=offset)


def view(folder, name, entities, feature, ttl):
    """Return a view over its own file."""
    dtypes = {"customer": Int64, "shop": String}
    return FeatureView(
        name=name,
        entities=entities,
        ttl=ttl,
        schema=[
            *(Field(name=item.name, dtype=dtypes[item.name]) for item in entities),
            Field(name=feature, dtype=Float64),
        ],
        source=FileSource(
            name=name,
            path=str(folder / f"{name}.parquet"),
            timestamp_field="at",
            created_timestamp_column="made",
            file_format=ParquetFormat(),
        ),
    )


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """A view keyed by customer and shop without a TTL, and one keyed by shop with one."""
    folder = tmp_path_factory.mktemp("warehouse")
    store = FeatureStore(
        config=RepoConfig(
            project="test",
            provider="local",
            repo_path=folder,
            registry={"path": str(folder / "registry.db")},
            offline_store={"type": "include.features.asof_store.AsofOfflineStore"},
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            entity_key_serialization_version=3,
        )
    )
    customer = Entity(name="customer", join_keys=["customer"], value_type=ValueType.INT64)
    shop = Entity(name="shop", join_keys=["shop"], value_type=ValueType.STRING)
    visits = view(folder, "visits", [customer, shop], "spend", timedelta())
    shops = view(folder, "shops", [shop], "staff", SHOP_TTL)
    store.apply([customer, shop, visits, shops])
    return Warehouse(store, folder)


def newest(rows, keys, now, ttl=None):
    """Return the newest row's value, as looked for row by row."""
    past = [row for row in rows if row[: len(keys)] == keys and row[-3] <= now]
    found = max(past, key=lambda row: (row[-3], row[-2]), default=None)
    if found is None or (ttl is not None and minute(now) - minute(found[-3]) > ttl):
        return None
    return found[-1]


SHOPS = st.sampled_from(["north", "south", 'o\'hara "inn"'])
CUSTOMERS = st.integers(1, 2)
VALUES = st.none() | st.integers(-3, 3).map(float)
TIMES = st.integers(0, 20)


def created(rows):
    """Give each row a creation time of its own, so that ties have one answer."""
    return [(*row[:-1], 100 + index, row[-1]) for index, row in enumerate(rows)]


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    visits=st.lists(st.tuples(CUSTOMERS, SHOPS, TIMES, VALUES), max_size=20).map(created),
    shops=st.lists(st.tuples(SHOPS, TIMES, VALUES), max_size=20).map(created),
    asked=st.lists(st.tuples(CUSTOMERS, SHOPS, st.integers(-1, 30)), min_size=1, max_size=10),
    full_names=st.booleans(),
)
def test_views_and_keys(warehouse, visits, shops, asked, full_names):
    """Two views, one with two keys, each as of the row, by short and by full names, also when empty."""
    warehouse.fill(visits, shops)
    frame = pandas.DataFrame(asked, columns=["customer", "shop", "event_timestamp"])
    frame["event_timestamp"] = pandas.to_datetime([minute(now) for *_, now in asked], utc=True)
    job = warehouse.store.get_historical_features(
        frame, ["visits:spend", "shops:staff"], full_feature_names=full_names
    )
    table = job.to_arrow()
    names = ("visits__spend", "shops__staff") if full_names else ("spend", "staff")
    assert [
        (newest(visits, (customer, shop), now), newest(shops, (shop,), now, SHOP_TTL))
        for customer, shop, now in asked
    ] == list(zip(*(table[name].to_pylist() for name in names), strict=True))


def test_rows_without_a_key_find_nothing(warehouse):
    """A null key equals none, not even another null."""
    warehouse.fill([(1, "north", 0, 1, 5.0)], [("north", 0, 1, 2.0)])
    frame = pandas.DataFrame(
        {"customer": [1, 1], "shop": ["north", None], "event_timestamp": [minute(1)] * 2}
    )
    table = warehouse.store.get_historical_features(frame, ["visits:spend", "shops:staff"]).to_arrow()
    assert ([5.0, None], [2.0, None]) == (table["spend"].to_pylist(), table["staff"].to_pylist())


def test_no_rows_asked_none_given(warehouse):
    """An empty set of entity rows has an empty answer with its columns."""
    warehouse.fill([], [])
    frame = pandas.DataFrame({"customer": [1], "shop": ["north"], "event_timestamp": [minute(1)]}).iloc[:0]
    table = warehouse.store.get_historical_features(frame, ["shops:staff"]).to_arrow()
    assert (0, True) == (table.num_rows, "staff" in table.column_names)


def test_entity_rows_as_sql_are_refused(warehouse):
    """There is no database to run it in, and the message says what to do instead."""
    with pytest.raises(DataError, match="pass the rows"):
        warehouse.store.get_historical_features("SELECT 1", ["shops:staff"]).to_arrow()
