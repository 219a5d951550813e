import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pyarrow.parquet
import pytest

from include.config.settings import REPOSITORY_ROOT
from include.contracts.errors import DataError, SourceError
from include.features.materialize import compute_features, months
from include.features.views import offline_folder
from tests.shop import DEMOGRAPHICS, SPENDING, TELLING, Shop, at, half_a_year, on

AS_OF = at("2017-07-01")


def stored(shop, view="customer_spending"):
    """Return the bytes of a view's offline files by name."""
    folder = offline_folder(shop.settings, view)
    return {path.name: path.read_bytes() for path in folder.glob("*")}


def rows(shop, day, view="customer_spending", names=SPENDING):
    """Return a day's rows of a view by customer, features in order."""
    path = offline_folder(shop.settings, view) / f"{day}.parquet"
    return {
        row["customer_id"]: tuple(row[name] for name in names)
        for row in pyarrow.parquet.read_table(path).to_pylist()
    }


def test_features_by_hand(tmp_path):
    """Edges of the window, baskets of several lines, unknown products and ties, worked out by hand."""
    shop = Shop(
        tmp_path,
        [
            (1, 10, 1, 2.10, "2017-01-02T00:00:00"),  # first moment of the window of 1 February
            (1, 10, 2, 0.20, "2017-01-02T00:00:00"),
            (1, 11, 3, 5.00, "2017-01-31T23:59:59"),  # last second of it
            (1, 12, 2, 9.00, "2017-02-01T00:00:00"),  # after it
            (2, 13, 1, 4.00, "2017-01-20T12:00:00"),  # a tie: GROCERY comes before MEAT
            (2, 14, 2, 4.00, "2017-01-20T13:00:00"),
            (4, 16, 2, 4.00, "2017-01-20T12:00:00"),  # the same tie the other way round
            (4, 17, 1, 4.00, "2017-01-21T13:00:00"),
            (3, 15, 1, 7.00, "2017-01-01T23:59:59"),  # a second before it
        ],
    )
    counts = compute_features(shop.settings, on("2017-02-01"), on("2017-02-01"), AS_OF)
    assert {"customer_spending": 3, "customer_basket": 4, "customer_demographics": 2} == counts
    assert {
        1: (7.3, 3.65, 2, 1, "UNKNOWN"),
        2: (8.0, 4.0, 2, 12, "GROCERY"),
        4: (8.0, 4.0, 2, 11, "GROCERY"),
    } == rows(shop, "2017-02-01")
    compute_features(shop.settings, on("2017-02-02"), on("2017-02-02"), AS_OF)
    assert (14.0, 7.0, 2, 1, "MEAT") == rows(shop, "2017-02-02")[1]


def test_a_day_alone_and_in_a_backfill_are_the_same(tmp_path):
    """One run a day and one run for all days write the same bytes."""
    shop = Shop(tmp_path, half_a_year())
    compute_features(shop.settings, on("2017-03-24"), on("2017-04-06"), AS_OF)
    views = ("customer_spending", "customer_basket", "customer_demographics")
    backfilled = [stored(shop, view) for view in views]
    assert [14] * 3 == [len(files) for files in backfilled]
    shutil.rmtree(shop.settings.features_folder / "offline")
    for name in backfilled[0]:
        day = on(name.removesuffix(".parquet"))
        compute_features(shop.settings, day, day, at(day.isoformat()))
    assert backfilled == [stored(shop, view) for view in views]


def test_rerunning_a_day_touches_nothing(tmp_path):
    """The same rows leave bytes and modification time; changed rows replace just their days."""
    shop = Shop(tmp_path, half_a_year())
    window = (on("2017-03-01"), on("2017-03-10"))
    compute_features(shop.settings, *window, AS_OF)
    folder = offline_folder(shop.settings, "customer_spending")
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    compute_features(shop.settings, *window, AS_OF)
    assert before == {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    shop.write([*half_a_year(), (1, 1, 1, 99.0, "2017-03-08T12:00:00")])
    compute_features(shop.settings, *window, AS_OF)
    changed = [path.name for path in folder.iterdir() if path.stat().st_mtime_ns != before[path.name][1]]
    assert ["2017-03-09.parquet", "2017-03-10.parquet"] == sorted(changed)


def test_a_missing_column_leaves_nothing_half_written(tmp_path):
    """A raw file without a column stops the run by its name; what was there stays as it was."""
    shop = Shop(tmp_path, half_a_year())
    compute_features(shop.settings, on("2017-03-01"), on("2017-03-02"), AS_OF)
    before = stored(shop)
    shop.write(half_a_year(), without="sales_value")
    with pytest.raises(SourceError, match="'sales_value'"):
        compute_features(shop.settings, on("2017-03-01"), on("2017-03-05"), AS_OF)
    assert before == stored(shop)


def test_an_empty_day_is_named(tmp_path):
    """A day without rows stops with the day and what the source covers."""
    shop = Shop(tmp_path, half_a_year())
    with pytest.raises(
        DataError, match=r"no rows for 2017-01-01; .*purchases covers 2017-01-01 10:00 to 2017-06-28 10:00"
    ):
        compute_features(shop.settings, on("2017-01-01"), on("2017-01-05"), AS_OF)
    assert {} == stored(shop)


def test_a_day_that_is_not_over_is_refused(tmp_path):
    """Features of a day need all of the days before it."""
    shop = Shop(tmp_path, half_a_year())
    with pytest.raises(DataError, match="not over yet"):
        compute_features(shop.settings, on("2017-03-01"), on("2017-03-02"), at("2017-03-01T23:00"))


def test_months_part_a_range():
    """A range is parted at the ends of months, leap days included."""
    assert [
        (on("2016-01-30"), on("2016-01-31")),
        (on("2016-02-01"), on("2016-02-29")),
        (on("2016-03-01"), on("2016-03-01")),
    ] == list(months(on("2016-01-30"), on("2016-03-01")))


def test_a_killed_run_leaves_old_or_new_files(tmp_path):
    """Killed in the middle of rewriting, every file is wholly what it was or wholly what it becomes."""
    shop = Shop(tmp_path, half_a_year()).narrowed()
    window = (on("2017-03-01"), on("2017-05-31"))
    compute_features(shop.settings, *window, AS_OF)
    old = stored(shop)
    shop.write([(c, b, p, money + 1, moment) for c, b, p, money, moment in half_a_year()])
    code = (
        "from datetime import date; from include.config.settings import settings; "
        "from include.features.materialize import compute_features, midnight; "
        "compute_features(settings(), date(2017, 3, 1), date(2017, 5, 31), midnight(date(2017, 7, 1)))"
    )
    current = shop.settings
    environment = os.environ | {
        "PYTHONPATH": str(REPOSITORY_ROOT),
        "NINETY_HOME": str(current.home),
        "NINETY_SOURCES": json.dumps(current.sources),
        "NINETY_MODEL_FOLDERS": json.dumps([str(path) for path in current.model_folders]),
    }
    run = subprocess.Popen([sys.executable, "-c", code], env=environment)
    first = offline_folder(current, "customer_spending") / "2017-03-01.parquet"
    deadline = time.monotonic() + 60
    while first.read_bytes() == old[first.name] and run.poll() is None and time.monotonic() < deadline:
        os.sched_yield()
    run.send_signal(signal.SIGKILL)
    run.wait()
    killed = {name: content for name, content in stored(shop).items() if name.endswith(".parquet")}
    compute_features(current, *window, AS_OF)
    new = {name: content for name, content in stored(shop).items() if name.endswith(".parquet")}
    assert old.keys() == killed.keys() == new.keys()
    assert {True} == {killed[name] in (old[name], new[name]) for name in old}
    assert {True, False} == {killed[name] == new[name] for name in old}


BASKET = (
    "order_count_7d",
    "order_count_14d",
    "order_count_60d",
    "order_count_90d",
    "order_days_90d",
    "total_spend_90d",
    "items_per_order_90d",
    "basket_size_trend",
    "grocery_share_90d",
    "fresh_share_90d",
    "fuel_share_90d",
    "private_label_share_90d",
    "discount_share_90d",
    "days_observed_90d",
    "mean_gap_days_90d",
)


def test_baskets_by_hand(tmp_path):
    """Windows of 7 to 90 days, shares of the money, gaps and the last moment, worked out by hand."""
    shop = Shop(
        tmp_path,
        [
            (1, 10, 1, 99.0, "2017-01-30T23:59:59"),  # a second before the window of 1 May
            (1, 11, 1, 3.00, "2017-01-31T00:00:00"),  # first moment of it
            (1, 12, 1, 1.00, "2017-04-20T10:00:00"),
            (1, 12, 2, 4.00, "2017-04-20T10:00:00"),
            (1, 13, 3, 2.00, "2017-04-30T23:59:59"),  # last second of it
            (1, 14, 1, 9.00, "2017-05-01T00:00:00"),  # after it
            (2, 20, 1, 0.00, "2017-03-01T12:00:00"),
        ],
    )
    compute_features(shop.settings, on("2017-05-01"), on("2017-05-01"), AS_OF)
    found = rows(shop, "2017-05-01", "customer_basket", BASKET)
    shares = (0.4, 0.4, 0.0, 0.0, 2.0 / 12.0)
    assert (1, 2, 2, 3, 3, 10.0, 4 / 3, 1.5 / (4 / 3), *shares, 90, 89 / 2) == found[1]
    assert (0, 0, 0, 1, 1, 0.0, 1.0, None, None, None, None, None, 1.0, 61, None) == found[2]
    epoch = rows(shop, "2017-05-01", "customer_basket", ("last_purchase_epoch",))
    assert {1: at("2017-04-30T23:59:59").timestamp(), 2: at("2017-03-01T12:00").timestamp()} == {
        customer: value for customer, (value,) in epoch.items()
    }


def test_demographics_are_the_same_every_day(tmp_path):
    """Only who told has a row; a day's row says what the household told."""
    shop = Shop(tmp_path, half_a_year())
    compute_features(shop.settings, on("2017-02-20"), on("2017-02-21"), AS_OF)
    days = [rows(shop, f"2017-02-{day}", "customer_demographics", ("age", "income")) for day in (20, 21)]
    assert [dict.fromkeys(TELLING, (DEMOGRAPHICS["age"], DEMOGRAPHICS["income"]))] * 2 == days


def test_a_models_broken_view_leaves_the_others_alone(tmp_path, caplog):
    """A query that fails in one model's folder: every other view is computed, the log names the model."""
    shop = Shop(tmp_path, half_a_year())
    folder = shop.churn.path / "views"
    folder.mkdir()
    (folder / "odd.yaml").write_text(
        "{name: odd, description: d, owner: o, entity: {name: customer_id, type: int64}, ttl: 2d, "
        "sources: [purchases], fields: [{name: oddity, dtype: int64, description: d}]}"
    )
    (folder / "odd.sql").write_text(
        "SELECT customer_id, day AS event_timestamp, CAST('x' AS BIGINT) AS oddity FROM purchases, days"
    )
    contract = shop.churn.path / "contract.yaml"
    used = "  inputs:\n    - {name: oddity, kind: numeric, view: odd}\n"
    contract.write_text(contract.read_text().replace("  inputs:\n", used, 1))
    counts = compute_features(shop.settings, on("2017-02-20"), on("2017-02-20"), AS_OF)
    assert {"customer_spending", "customer_basket", "customer_demographics"} == counts.keys()
    assert "view odd of model churn is left out: view 'odd'" in caplog.text


def test_a_view_no_model_reads_is_not_computed(tmp_path):
    """Without a model that names them the shared views ask for no source."""
    shop = Shop(tmp_path, half_a_year())
    settings = shop.settings.model_copy(update={"model_folders": (), "sources": {}})
    assert {} == compute_features(settings, on("2017-02-20"), on("2017-02-20"), AS_OF)
