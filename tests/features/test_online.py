import sqlite3
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from include.adapters.online_features import OnlineFeatures
from include.contracts.errors import DataError, ServingError
from include.features.materialize import compute_features
from include.features.online import materialize_online
from include.features.store import open_store
from tests.shop import CUSTOMER, SPENDING, Kept, Shop, at, half_a_year, on

AS_OF = at("2017-07-01")


@pytest.fixture(scope="module")
def kept_shop(tmp_path_factory):
    """A shop with the features of a few spring days computed; customer 7 bought once, in January."""
    shop = Shop(tmp_path_factory.mktemp("shop"), [*half_a_year(), (7, 7, 1, 5.0, "2017-01-20T10:00:00")])
    compute_features(shop.settings, on("2017-02-10"), on("2017-03-10"), AS_OF)
    return Kept(shop)


@pytest.fixture
def shop(kept_shop):
    """The shop as it was kept, whatever a test before did to it."""
    return kept_shop.restored()


def online(shop):
    """Return customer 1's day online and its spend."""
    (row,) = OnlineFeatures(shop.settings).read(CUSTOMER, [1], {"customer_spending": ["total_spend_30d"]})
    return row.timestamps["customer_spending"], row.features["customer_spending"]["total_spend_30d"]


def test_days_out_of_order_never_lower_a_value(shop):
    """After 8 March, a run for 5 March changes nothing; a run for 9 March does."""
    materialize_online(shop.settings, on("2017-03-08"))
    newest = online(shop)
    assert at("2017-03-08") == newest[0]
    materialize_online(shop.settings, on("2017-03-05"))
    assert newest == online(shop)
    materialize_online(shop.settings, on("2017-03-09"))
    assert at("2017-03-09") == online(shop)[0]


def test_the_guard_holds_feast_itself(shop):
    """Feast's own writing of an older row is dropped; of the same day's it is taken."""
    materialize_online(shop.settings, on("2017-03-08"))
    store = open_store(shop.settings)
    newest = online(shop)
    store.materialize(at("2017-02-10"), at("2017-02-20"))
    assert newest == online(shop)
    shop.write([*half_a_year(), (1, 1, 1, 50.0, "2017-03-07T12:00:00")])
    compute_features(shop.settings, on("2017-03-08"), on("2017-03-08"), AS_OF)
    materialize_online(shop.settings, on("2017-03-08"))
    assert (newest[0], newest[1] + 50) == online(shop)


def test_only_rows_up_to_the_day(shop):
    """Rows stamped after the day stay offline; an entity without a row that day keeps its last one."""
    counts = materialize_online(shop.settings, on("2017-02-25"))
    assert {"customer_spending": 7, "customer_basket": 7, "customer_demographics": 2} == counts
    rows = OnlineFeatures(shop.settings).read(CUSTOMER, [1, 7], {"customer_spending": SPENDING})
    assert [at("2017-02-25"), at("2017-02-19")] == [row.timestamps["customer_spending"] for row in rows]
    assert 30 == rows[1].features["customer_spending"]["days_since_last_purchase"]


def test_readers_never_wait_for_writers(shop):
    """The online store is in WAL mode, whoever opens it."""
    materialize_online(shop.settings, on("2017-03-08"))
    with sqlite3.connect(shop.settings.online_store) as connection:
        assert [("wal",)] == connection.execute("PRAGMA journal_mode").fetchall()


def test_a_day_that_was_not_computed_is_named(shop):
    """Materialising a day without features says which."""
    with pytest.raises(DataError, match="not computed for 2017-04-01"):
        materialize_online(shop.settings, on("2017-04-01"))


def test_reading_equals_feasts_own(shop):
    """The direct read gives what Feast's `get_online_features` gives, as plain values."""
    materialize_online(shop.settings, on("2017-03-08"))
    keys = [3, 1, 99, 7]
    feast = open_store(shop.settings).get_online_features(
        [f"customer_spending:{name}" for name in SPENDING], [{"customer_id": key} for key in keys]
    )
    expected = feast.to_dict()
    rows = OnlineFeatures(shop.settings).read(CUSTOMER, keys, {"customer_spending": SPENDING})
    assert {name: expected[name] for name in SPENDING} == {
        name: [row.features["customer_spending"][name] for row in rows] for name in SPENDING
    }
    assert {float, int, str} == {type(value) for value in rows[0].features["customer_spending"].values()}


def test_an_unknown_entity_has_no_values(shop):
    """An entity that was never seen is None throughout, without a timestamp."""
    materialize_online(shop.settings, on("2017-03-08"))
    (row,) = OnlineFeatures(shop.settings).read(CUSTOMER, [99], {"customer_spending": SPENDING})
    assert {"customer_spending": dict.fromkeys(SPENDING)} == row.features
    assert {"customer_spending": None} == row.timestamps


def test_an_open_reader_sees_new_values(shop):
    """What was materialised since is read at once."""
    materialize_online(shop.settings, on("2017-03-08"))
    reader = OnlineFeatures(shop.settings)
    wanted = {"customer_spending": ["total_spend_30d"]}
    reader.read(CUSTOMER, [1], wanted)
    materialize_online(shop.settings, on("2017-03-09"))
    assert at("2017-03-09") == reader.read(CUSTOMER, [1], wanted)[0].timestamps["customer_spending"]


def test_reading_before_anything_was_materialised(tmp_path):
    """Without a store the reader says what is missing, and recovers once it is there."""
    shop = Shop(tmp_path, half_a_year())
    reader = OnlineFeatures(shop.settings)
    wanted = {"customer_spending": ["total_spend_30d"]}
    with pytest.raises(ServingError, match="was it materialised"):
        reader.read(CUSTOMER, [1], wanted)
    compute_features(shop.settings, on("2017-03-01"), on("2017-03-01"), AS_OF)
    materialize_online(shop.settings, on("2017-03-01"))
    assert at("2017-03-01") == reader.read(CUSTOMER, [1], wanted)[0].timestamps["customer_spending"]


def test_processes_may_run_at_once(shop):
    """Several processes opening and writing at once leave one registry and the newest values."""
    days = [on("2017-03-07"), on("2017-03-08"), on("2017-03-06")]
    with ProcessPoolExecutor(3, mp_context=get_context("fork")) as pool:
        results = list(pool.map(materialize_online, [shop.settings] * len(days), days))
    counts = {"customer_spending": 7, "customer_basket": 7, "customer_demographics": 2}
    assert [counts] * len(days) == results
    assert at("2017-03-08") == online(shop)[0]
    assert ["churn_v1"] == [item.name for item in open_store(shop.settings).list_feature_services()]
