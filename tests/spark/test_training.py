"""The point-in-time join through Feast: Spark's store held against the ASOF store."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.data_format import ParquetFormat
from feast.types import Float64, Int64, String

from include.adapters.spark.session import feast_configuration
from include.config.settings import Settings
from include.contracts.errors import DataError
from include.data.labels import compute_labels
from include.features.materialize import compute_features
from include.features.spark_source import FilesOnSparkSource
from include.features.training_set import freeze_training_set
from tests.shop import Shop, at, half_a_year, on

pytestmark = pytest.mark.spark
EPOCH = datetime(2017, 3, 26, tzinfo=UTC)
TTL = timedelta(minutes=10)
MOMENT = pyarrow.timestamp("us", "UTC")
FEATURES = ["brief:number", "brief:word", "brief:count", "lasting:number", "visits:spend"]


def minute(offset: int) -> datetime:
    """Return a moment that many minutes after the epoch of these tests."""
    return EPOCH + timedelta(minutes=offset)


@dataclass(frozen=True)
class Stores:
    """The same views over the same files in two stores."""

    asof: FeatureStore
    spark: FeatureStore

    def both(self, rows: object, **told: object) -> tuple[pyarrow.Table, pyarrow.Table]:
        """Return what each gives for entity rows."""
        asof, spark = (
            store.get_historical_features(rows, FEATURES, full_feature_names=True, **told).to_arrow()
            for store in (self.asof, self.spark)
        )
        return asof, spark.select(asof.column_names)


@pytest.fixture(scope="module")
def stores(on_spark, tmp_path_factory) -> Stores:
    """A view with a TTL and one without over one file of ties and gaps, and one keyed by two columns."""
    folder = tmp_path_factory.mktemp("warehouse")
    write_rows(folder)
    made = {}
    for name in ("asof", "spark"):
        spark = feast_configuration(on_spark(Settings()))
        offline = {"type": "include.features.asof_store.AsofOfflineStore"}
        if name == "spark":
            offline = {"type": "include.features.spark_store.SparkAsofOfflineStore", "spark_conf": spark}
        made[name] = FeatureStore(
            config=RepoConfig(
                project="test",
                provider="local",
                repo_path=folder,
                registry={"path": str(folder / f"{name}.db")},
                offline_store=offline,
                online_store={"type": "sqlite", "path": str(folder / f"{name}-online.db")},
                entity_key_serialization_version=3,
            )
        )
        made[name].apply(definitions(folder, name))
    return Stores(made["asof"], made["spark"])


def write_rows(folder: Path) -> None:
    """Write rows with ties in time, told apart by creation, nulls, whole numbers past 2^53."""
    dice = np.random.default_rng(3)
    rows = 600
    table = pyarrow.table(
        {
            "key": pyarrow.array(dice.integers(1, 12, rows)),
            "stamped": pyarrow.array([minute(int(each)) for each in dice.integers(0, 60, rows)], MOMENT),
            "created": pyarrow.array([minute(int(each)) for each in dice.permutation(rows)], MOMENT),
            "number": pyarrow.array(dice.normal(size=rows), mask=dice.random(rows) < 0.2),
            "word": pyarrow.array(dice.choice(["x", "y", "ü"], rows), mask=dice.random(rows) < 0.2),
            "count": pyarrow.array(2**60 + dice.integers(0, 9, rows), mask=dice.random(rows) < 0.2),
        }
    )
    pyarrow.parquet.write_table(table, folder / "rows.parquet")
    visits = [
        (1, "12", 5, 1.0),
        (11, "2", 5, 2.0),
        (1, "12", 9, 3.0),
        (None, "12", 9, 4.0),
        (1, None, 9, 5.0),
    ]
    columns = list(zip(*visits, strict=True))
    table = pyarrow.table(
        {
            "key": pyarrow.array(columns[0], pyarrow.int64()),
            "shop": columns[1],
            "stamped": pyarrow.array([minute(each) for each in columns[2]], MOMENT),
            "spend": columns[3],
        }
    )
    pyarrow.parquet.write_table(table, folder / "visits.parquet")


def definitions(folder: Path, store: str) -> list[Entity | FeatureView]:
    """Return the views, each with the source its store reads."""

    def source(name: str, file: str, created: str) -> FileSource | FilesOnSparkSource:
        told = {"name": name, "path": str(folder / file), "timestamp_field": "stamped"}
        told |= {"created_timestamp_column": created} if created else {}
        if store == "spark":
            return FilesOnSparkSource(**told)
        return FileSource(file_format=ParquetFormat(), **told)

    key = Entity(name="key", join_keys=["key"], value_type=ValueType.INT64)
    shop = Entity(name="shop", join_keys=["shop"], value_type=ValueType.STRING)
    fields = [
        Field(name="key", dtype=Int64),
        Field(name="number", dtype=Float64),
        Field(name="word", dtype=String),
        Field(name="count", dtype=Int64),
    ]
    views = [
        FeatureView(
            name=name, entities=[key], ttl=ttl, schema=fields, source=source(name, "rows.parquet", "created")
        )
        for name, ttl in (("brief", TTL), ("lasting", timedelta()))
    ]
    schema = [
        Field(name="key", dtype=Int64),
        Field(name="shop", dtype=String),
        Field(name="spend", dtype=Float64),
    ]
    visits = FeatureView(
        name="visits",
        entities=[key, shop],
        ttl=timedelta(),
        schema=schema,
        source=source("visits", "visits.parquet", ""),
    )
    return [key, shop, *views, visits]


def asked(zone: str | None = "UTC", rows: int = 400) -> pandas.DataFrame:
    """Return entity rows: some twice, some of keys nobody knows or that are missing, some at a TTL's edge."""
    dice = np.random.default_rng(4)
    offsets = dice.integers(-2, 90, rows)
    moments = pandas.Series([minute(int(each)) for each in offsets])
    moments += pandas.to_timedelta(dice.choice([0, 0, 1, -1], rows), unit="us")
    moments = moments.dt.tz_convert(zone) if zone else moments.dt.tz_localize(None)
    keys = pandas.Series(dice.integers(1, 15, rows), dtype="Int64").where(dice.random(rows) > 0.05)
    frame = pandas.DataFrame({"key": keys, "event_timestamp": moments, "line": range(rows)})
    frame["shop"] = pandas.Series(dice.choice(["12", "2", "3"], rows)).where(dice.random(rows) > 0.05, None)
    return pandas.concat([frame, frame.head(20)], ignore_index=True)


@pytest.mark.parametrize("zone", ["UTC", None, "America/New_York", "Asia/Kolkata"])
def test_both_stores_give_the_same(stores, zone):
    """Ties, TTL edges, duplicates, nulls, zones, keys of two columns, no history: in the order asked."""
    asof, spark = stores.both(asked(zone))
    assert asof.schema == spark.schema
    assert 420 == asof.num_rows
    assert all(0 < asof[name.replace(":", "__")].null_count < 420 for name in FEATURES)
    assert asof.to_pylist() == spark.to_pylist()


def test_the_ttl_includes_its_last_moment(stores):
    """A row exactly as old as the TTL counts; a microsecond later it does not."""
    last = max(
        pyarrow.parquet.read_table(stores.asof.config.repo_path / "rows.parquet")["stamped"].to_pylist()
    )
    edge = last + TTL
    rows = pandas.DataFrame({"key": list(range(1, 12)) * 2, "shop": ["2"] * 22})
    rows["event_timestamp"] = [edge] * 11 + [edge + timedelta(microseconds=1)] * 11
    asof, spark = stores.both(rows)
    assert asof.to_pylist() == spark.to_pylist()
    present = [each is not None for each in spark["brief__count"].to_pylist()]
    assert (True, False) == (any(present[:11]), any(present[11:]))


def test_no_rows_asked_none_given(stores):
    """An empty set of entity rows has an empty answer with its columns."""
    asof, spark = stores.both(asked().iloc[:0])
    assert (0, asof.schema) == (spark.num_rows, spark.schema)


def test_entity_rows_may_stay_on_the_cluster(stores):
    """A query of Spark's gives the rows a frame gives, in whatever order."""
    frame = asked().dropna().astype({"key": "int64", "event_timestamp": "datetime64[us, UTC]"})
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pandas(frame), path := stores.asof.config.repo_path / "asked.parquet"
    )
    job = stores.spark.get_historical_features(
        f"SELECT * FROM parquet.`{path}`",  # noqa: S608
        FEATURES,
        full_feature_names=True,
    )
    expected, found = stores.both(frame)[0], job.to_arrow()
    order = [("line", "ascending")]
    assert (
        expected.sort_by(order).to_pylist() == found.select(expected.column_names).sort_by(order).to_pylist()
    )


def test_what_spark_cannot_be_asked_is_said(stores):
    """Without entity rows there is nothing to join to."""
    with pytest.raises((DataError, ValueError), match="entity"):
        stores.spark.get_historical_features(None, FEATURES, full_feature_names=True).to_arrow()


def test_a_frozen_training_set_has_the_same_hash(on_spark, tmp_path):
    """Features, labels and their join, from raw files to the hash: one engine or the other."""
    (tmp_path / "shop").mkdir()
    shop = Shop(tmp_path / "shop", half_a_year())
    snapshots = []
    for engine, settings in (("duckdb", shop.settings), ("spark", on_spark(shop.settings))):
        own = settings.model_copy(update={"home": tmp_path / engine})
        compute_features(own, on("2017-04-20"), on("2017-05-20"), at("2017-06-01"))
        compute_labels(own, shop.churn, at("2017-04-20"), at("2017-05-20"), at("2017-06-01"))
        snapshots.append(freeze_training_set(own, shop.churn.contract, at("2017-06-01")))
    assert snapshots[0] == snapshots[1]
    for name in ("customer_spending", "customer_basket"):
        files = [
            (tmp_path / engine / "features" / "offline" / name).glob("*.parquet")
            for engine in ("duckdb", "spark")
        ]
        contents = [{path.name: path.read_bytes() for path in each} for each in files]
        assert contents[0] == contents[1]
        assert 31 == len(contents[0])
