"""What a killed run leaves behind: torn writes at any byte, kills at any rename."""

import os
import resource
import signal
import sqlite3
import sys
from contextlib import closing
from datetime import timedelta
from itertools import count
from multiprocessing import get_context

import pyarrow.parquet
import pytest

from include.adapters.online_features import OnlineFeatures
from include.features.materialize import compute_features
from include.features.online import materialize_online
from include.features.online_store import GuardedSqliteOnlineStore
from include.features.views import offline_folder
from tests.shop import CUSTOMER, SPENDING, Shop, at, half_a_year, on

pytestmark = pytest.mark.faults

AS_OF = at("2017-07-01")
WINDOW = (on("2017-03-01"), on("2017-03-12"))
CUSTOMERS = 40


def purchases(extra=0.0):
    """Return purchases, each `extra` dearer than usual."""
    return [(c, b, p, money + extra, moment) for c, b, p, money, moment in half_a_year(CUSTOMERS)]


def published(shop):
    """Return the bytes of every published day, as any reader finds them."""
    folder = offline_folder(shop.settings, "customer_spending")
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


def run_and_die(target, *arguments):
    """Run a function in a process of its own; return the signal it died of, 0 if it ended well."""
    process = get_context("fork").Process(target=target, args=arguments)
    process.start()
    process.join()
    return -process.exitcode


def torn_at(size, function, *arguments):
    """Run a function that dies in the middle of the first write past a file's `size` bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    function(*arguments)


def killed_at_rename(place, function, *arguments):
    """Run a function that is killed just before its `place`-th rename."""
    renames = count(1)

    def watch(event, _):
        if event == "os.rename" and next(renames) == place:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    function(*arguments)


@pytest.fixture
def shop(tmp_path):
    """A shop with two weeks computed, and prices that went up since."""
    shop = Shop(tmp_path, purchases()).narrowed()
    compute_features(shop.settings, *WINDOW, AS_OF)
    shop.write(purchases(1.0))
    return shop


@pytest.mark.parametrize(
    ("death", "place"),
    [(torn_at, 100), (torn_at, 1500), *((killed_at_rename, place) for place in (1, 9, 13, 14, 19, 24, 25))],
)
def test_a_killed_computation_leaves_old_or_new_days(shop, death, place):
    """Every published file is wholly the old one or wholly the new one, and a rerun completes."""
    old = published(shop)
    assert 0 != run_and_die(death, place, compute_features, shop.settings, *WINDOW, AS_OF)
    killed = published(shop)
    compute_features(shop.settings, *WINDOW, AS_OF)
    new = published(shop)
    assert old.keys() == killed.keys() == new.keys()
    assert all(old[name] != new[name] for name in old)
    assert [] == [name for name in old if killed[name] not in (old[name], new[name])]


def test_kills_meet_published_and_unpublished_days(shop):
    """The kills above fall where they matter: some days are new, the others still old."""
    old = published(shop)
    run_and_die(killed_at_rename, 12 + 6, compute_features, shop.settings, *WINDOW, AS_OF)
    killed = published(shop)
    assert {True, False} == {killed[name] == old[name] for name in old}


VIEWS = {"customer_spending": SPENDING, "customer_basket": ["order_count_7d"]}


def rows(shop):
    """Return each customer's values online, of both views."""
    read = OnlineFeatures(shop.settings).read(CUSTOMER, range(1, CUSTOMERS + 1), VIEWS)
    return [(tuple(row.timestamps.values()), tuple(row.features.items())) for row in read]


def killed_after_chunk(place, function, *arguments):
    """Run a function that is killed once its `place`-th chunk of online rows is written."""
    chunks, write = count(1), GuardedSqliteOnlineStore.online_write_batch

    def written(self, *given):
        write(self, *given)
        if next(chunks) == place:
            os.kill(os.getpid(), signal.SIGKILL)

    GuardedSqliteOnlineStore.online_write_batch = written
    function(*arguments)


def emptied_log(shop):
    """Move the write-ahead log of the online store into the file, so that the log is as long as none."""
    with closing(sqlite3.connect(shop.settings.online_store)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


DEATHS = (
    *((killed_after_chunk, place) for place in (1, 7, 14, 15, 28)),
    *((torn_at, 4096 * pages) for pages in (1, 3, 5)),
    (killed_at_rename, 1),
    (killed_at_rename, 2),
)
"""Within a chunk's view and between views, in the middle of the commit, after it."""


def test_a_killed_materialisation_leaves_the_old_or_the_new_store(shop):
    """Killed at ten places, the whole online store, both views of it, is the old one or the new one."""
    shop.read("order_count_7d", "customer_basket")
    compute_features(shop.settings, *WINDOW, AS_OF)
    small = shop.settings.model_copy(update={"online_chunk_rows": 3})
    materialize_online(small, on("2017-03-05"))
    old = rows(shop)
    found = []
    for death, place in DEATHS:
        emptied_log(shop)
        assert 0 != run_and_die(death, place, materialize_online, small, WINDOW[1]), (death, place)
        found.append(rows(shop))
    materialize_online(small, WINDOW[1])
    new = rows(shop)
    assert [] == [row for row in new if row in old]
    assert [old] * 8 + [new] * 2 == found


def test_a_rerun_after_days_out_of_order(shop):
    """Older days brought online later change nothing, however often."""
    compute_features(shop.settings, *WINDOW, AS_OF)
    materialize_online(shop.settings, WINDOW[1])
    newest = rows(shop)
    for back in (11, 3, 7, 0):
        materialize_online(shop.settings, WINDOW[1] - timedelta(days=back))
    assert newest == rows(shop)


def test_readers_never_meet_half_a_file(shop):
    """What lies in the published folder is always readable, temporary files included in nothing."""
    run_and_die(torn_at, 1500, compute_features, shop.settings, *WINDOW, AS_OF)
    folder = offline_folder(shop.settings, "customer_spending")
    for path in folder.glob("*.parquet"):
        assert 0 < pyarrow.parquet.read_table(path).num_rows


def torn_in_published(function, *arguments):
    """Run a function that dies in its first write to a file under `offline`, if it makes one."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)

    def watch(event, details):
        if event == "open" and "/offline/" in str(details[0]) and details[2] & (os.O_WRONLY | os.O_RDWR):
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))

    sys.addaudithook(watch)
    function(*arguments)


def test_no_write_can_tear_a_published_day(shop):
    """A write that dies a hundred bytes into anything under `offline` leaves every published day whole."""
    old = published(shop)
    run_and_die(torn_in_published, compute_features, shop.settings, *WINDOW, AS_OF)
    killed = published(shop)
    compute_features(shop.settings, *WINDOW, AS_OF)
    new = published(shop)
    assert [] == [name for name in old if killed[name] not in (old[name], new[name])]
