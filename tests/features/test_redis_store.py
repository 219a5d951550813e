import os
import signal
from itertools import count

import pytest

from include.adapters.erased_online import erase_online
from include.adapters.online_features import OnlineFeatures
from include.adapters.online_rows import PROJECT, VIEWS_KEY, KeyBytes
from include.contracts.errors import PlatformError, ServingError
from include.features.materialize import compute_features
from include.features.online import materialize_online
from include.features.redis_store import GuardedRedisOnlineStore
from include.features.store import configuration, open_store
from tests.features.test_killed import run_and_die
from tests.servers import running_redis
from tests.shop import CUSTOMER, SPENDING, Shop, at, half_a_year, on

redis = pytest.importorskip("redis")
AS_OF = at("2017-07-01")


@pytest.fixture(scope="module")
def server():
    """A Redis of this module's own."""
    with running_redis() as url:
        yield url


@pytest.fixture
def shop(tmp_path, server):
    """A shop with features of a few spring days, whose online store is an empty database of Redis."""
    redis.Redis.from_url(server).flushall()
    shop = OnRedis(tmp_path, half_a_year())
    shop.url = server
    compute_features(shop.settings, on("2017-03-01"), on("2017-03-10"), AS_OF)
    return shop


class OnRedis(Shop):
    """A shop with its online features in Redis."""

    url: str

    @property
    def settings(self):
        return super().settings.model_copy(update={"online_store_url": self.url})


def online(shop, customer=1):
    """Return a customer's day online and its spend."""
    row = OnlineFeatures(shop.settings).read(
        CUSTOMER, [customer], {"customer_spending": ["total_spend_30d"]}
    )[0]
    return row.timestamps["customer_spending"], row.features["customer_spending"]["total_spend_30d"]


def test_reading_equals_feasts_own(shop):
    """Values and types as Feast itself gives them; an unknown entity has neither values nor a timestamp."""
    materialize_online(shop.settings, on("2017-03-08"))
    keys = [3, 1, 99]
    expected = (
        open_store(shop.settings)
        .get_online_features(
            [f"customer_spending:{name}" for name in SPENDING], [{"customer_id": key} for key in keys]
        )
        .to_dict()
    )
    rows = OnlineFeatures(shop.settings).read(CUSTOMER, keys, {"customer_spending": SPENDING})
    assert {name: expected[name] for name in SPENDING} == {
        name: [row.features["customer_spending"][name] for row in rows] for name in SPENDING
    }
    assert [at("2017-03-08"), at("2017-03-08"), None] == [row.timestamps["customer_spending"] for row in rows]


def test_days_out_of_order_never_lower_a_value(shop):
    """After 8 March, a run for 5 March changes nothing; a run for 9 March does."""
    materialize_online(shop.settings, on("2017-03-08"))
    newest = online(shop)
    materialize_online(shop.settings, on("2017-03-05"))
    assert newest == online(shop)
    materialize_online(shop.settings, on("2017-03-09"))
    assert at("2017-03-09") == online(shop)[0]


def test_a_day_computed_again_is_taken(shop):
    """A late purchase changes the day's values online, though their timestamp stays."""
    materialize_online(shop.settings, on("2017-03-08"))
    stamp, spend = online(shop)
    shop.write([*half_a_year(), (1, 1, 1, 50.0, "2017-03-07T12:00:00")])
    compute_features(shop.settings, on("2017-03-08"), on("2017-03-08"), AS_OF)
    materialize_online(shop.settings, on("2017-03-08"))
    assert (stamp, spend + 50) == online(shop)


CUSTOMERS = range(1, 7)


def rows(shop):
    """Return every customer's day and values online."""
    read = OnlineFeatures(shop.settings).read(CUSTOMER, CUSTOMERS, {"customer_spending": SPENDING})
    return [(row.timestamps["customer_spending"], row.features["customer_spending"]) for row in read]


def killed_after_chunk(place, settings, day):
    """Bring a day online, and be killed once the `place`-th chunk of the view is written."""
    chunks, write = count(1), GuardedRedisOnlineStore.online_write_batch

    def written(self, config, view, *given):
        write(self, config, view, *given)
        if view.name == "customer_spending" and next(chunks) == place:
            os.kill(os.getpid(), signal.SIGKILL)

    GuardedRedisOnlineStore.online_write_batch = written
    materialize_online(settings, day)


@pytest.mark.faults
def test_a_killed_run_leaves_each_entity_wholly_old_or_new(shop):
    """Killed after each of its chunks: nobody's values are mixed, and the next run completes it."""
    small = shop.settings.model_copy(update={"online_chunk_rows": 1})
    materialize_online(small, on("2017-03-05"))
    old, found = rows(shop), []
    for place in CUSTOMERS[:-1]:
        assert signal.SIGKILL == run_and_die(killed_after_chunk, place, small, on("2017-03-10"))
        found.append(rows(shop))
    materialize_online(small, on("2017-03-10"))
    new = rows(shop)
    assert [] == [row for row in new if row in old]
    for state in found:
        assert [] == [row for row, *both in zip(state, old, new, strict=True) if row not in both]
    assert sorted({sum(row in new for row in state) for state in found}) == list(CUSTOMERS[:-1])


def test_an_erased_entity_is_unknown(shop):
    """Nothing of it is left in Redis, everybody else is there; a second time there is nothing to erase."""
    materialize_online(shop.settings, on("2017-03-08"))
    client, before = redis.Redis.from_url(shop.url), rows(shop)
    views, keys = [view.decode() for view in client.smembers(VIEWS_KEY)], set(client.keys())
    assert len(views) == erase_online(shop.settings, CUSTOMER, 1, [*views, "of_nobody"])
    assert [(None, dict.fromkeys(SPENDING)), *before[1:]] == rows(shop)
    assert {KeyBytes(CUSTOMER).of(1) + PROJECT.encode()} == keys - set(client.keys())
    assert 0 == erase_online(shop.settings, CUSTOMER, 1, views)
    client.close()


def test_an_absent_server_is_said(shop):
    """A reader without a server raises what the gateway knows how to answer."""
    materialize_online(shop.settings, on("2017-03-08"))
    shop.url = "redis://127.0.0.1:1/0"
    with pytest.raises(ServingError, match="cannot be read from the online store"):
        online(shop)


@pytest.mark.parametrize("url", ["postgres://h/0", "redis:///0", "redis://h/first", "127.0.0.1:6379"])
def test_a_wrong_url_is_refused(tmp_path, url):
    """The message says what to write and keeps the URL, which may hold a password, to itself."""
    shop = OnRedis(tmp_path, half_a_year())
    shop.url = url
    with pytest.raises(PlatformError, match="redis://host:port/database") as caught:
        configuration(shop.settings)
    assert url not in str(caught.value)
