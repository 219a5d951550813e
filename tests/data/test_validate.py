import json
from dataclasses import replace
from datetime import timedelta

import pyarrow
import pyarrow.parquet
import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.contracts.errors import DataError
from include.contracts.events import EventKind
from include.contracts.quality import Batch
from include.data.validate import validate_sources
from include.features.materialize import compute_features
from include.features.views import offline_folder
from tests.shop import TELLING, Shop, at, on

DAY = on("2017-03-01")
BATCH = Batch(DAY, DAY, at("2017-03-01"))
NOW = at("2018-01-01")


GOOD = [
    (
        customer,
        100 * offset + customer,
        1 + customer % 2,
        2.5,
        f"{on('2017-01-01') + timedelta(offset)}T10:00:00",
    )
    for offset in range(90)
    for customer in range(60)
]
"""Sixty customers who buy one thing a day."""


@pytest.fixture
def shop(tmp_path):
    """A shop whose customers buy what is known."""
    shop = Shop(tmp_path, GOOD)
    path = tmp_path / "products.parquet"
    products = pyarrow.parquet.read_table(path)
    categories = pyarrow.array(["FOOD"] * products.num_rows)
    place = products.schema.get_field_index("product_category")
    pyarrow.parquet.write_table(products.set_column(place, "product_category", categories), path)
    return shop


@pytest.fixture
def ledger(shop):
    """A migrated ledger in the shop's home."""
    upgrade(shop.settings.ledger_uri)
    opened = Ledger(shop.settings.ledger_uri)
    yield opened
    opened.close()


def kept(shop, source="purchases", batch=BATCH):
    """Return the quarantined rows and the result beside them."""
    path = shop.settings.quarantine_folder / source / f"{batch.name}.parquet"
    return pyarrow.parquet.read_table(path).to_pylist(), json.loads(path.with_suffix(".json").read_text())


def features(shop):
    """Return the bytes of the day's features."""
    compute_features(shop.settings, DAY, DAY, at("2017-03-01"))
    return (offline_folder(shop.settings, "customer_spending") / f"{DAY}.parquet").read_bytes()


def test_good_rows_pass(shop, ledger):
    """Nothing is set aside, nothing is alerted."""
    reports = validate_sources(shop.settings, ledger, BATCH, NOW)
    assert [{}, {}] == [reports["purchases"].set_aside, reports["purchases"].noted]
    assert 0 < reports["purchases"].rows < len(GOOD)
    assert () == ledger.open_alerts()


BAD = [
    ((1, 9001, 1, -5.0, "2017-02-28T12:00:00"), "amount is below 0"),
    ((1, 9001, 1, float("nan"), "2017-02-28T12:00:00"), "amount is not a finite number"),
    ((None, 9001, 1, 5.0, "2017-02-28T12:00:00"), "customer_id is null"),
    ((1, 9001, 1, 5.0, "2031-02-28T12:00:00"), "event_at lies in the future"),
]


@pytest.mark.parametrize(("row", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_a_bad_row_is_set_aside_and_counted(shop, ledger, row, reason):
    """It lies in quarantine with its reason, and the features are as if it had never come."""
    clean = features(shop)
    shop.write([*GOOD, row])
    report = validate_sources(shop.settings, ledger, BATCH, NOW)["purchases"]
    assert {reason: 1} == report.set_aside
    rows, result = kept(shop)
    assert [(row[1], reason, True)] == [(item["basket_id"], item["reason"], item["removed"]) for item in rows]
    assert {reason: 1} == result["report"]["set_aside"]
    assert clean == features(shop)


def test_an_event_after_its_arrival_is_set_aside(shop, ledger):
    """Where the source says when a row came, nothing can have happened after that."""
    rows = [*GOOD, (1, 9001, 1, 5.0, "2017-02-28T12:00:00")]
    shop.write(rows)
    path = shop.folder / "purchases.parquet"
    table = pyarrow.parquet.read_table(path)
    moments = table["transaction_timestamp"].to_pylist()
    moments[-1] = at("2017-02-28T11:00").replace(tzinfo=None)
    pyarrow.parquet.write_table(
        table.append_column("ingested_at", pyarrow.array(moments, pyarrow.timestamp("us"))), path
    )
    report = validate_sources(shop.settings, ledger, BATCH, NOW)["purchases"]
    assert {"event_at lies after ingested_at": 1} == report.set_aside


def test_repeated_lines_change_nothing(shop, ledger):
    """The first line of a key counts; the others are set aside, and no feature moves."""
    clean = features(shop)
    recent = [row for row in GOOD if row[4].startswith("2017-02-28")][:2]
    shop.write([*GOOD, *recent, recent[0]])
    report = validate_sources(shop.settings, ledger, BATCH, NOW)["purchases"]
    assert {"repeats the key customer_id, basket_id, product_id": 3} == report.set_aside
    assert clean == features(shop)


def test_a_household_told_twice_counts_once(shop, ledger):
    """The first row stands, the other is set aside, and every view is computed all the same."""
    clean = features(shop)
    shop.tell([*TELLING, TELLING[0]])
    report = validate_sources(shop.settings, ledger, BATCH, NOW)["demographics"]
    assert {"repeats the key customer_id": 1} == report.set_aside
    assert clean == features(shop)


def test_an_unknown_product_is_noted_and_stays(shop, ledger):
    """Within the tolerance the line is copied to quarantine, and counts under UNKNOWN."""
    shop.write([*GOOD, (1, 9001, 3, 5.0, "2017-02-28T12:00:00")])
    report = validate_sources(shop.settings, ledger, BATCH, NOW)["purchases"]
    assert ({}, {"unknown product_id": 1}) == (report.set_aside, report.noted)
    assert [False] == [row["removed"] for row in kept(shop)[0]]


UNFIT = [
    ("half the amounts missing", lambda row: row if row[1] % 2 else (*row[:3], None, row[4]), "amount"),
    ("unknown products", lambda row: (*row[:2], 3, *row[3:]), "found__product_id"),
    ("negative prices", lambda row: (*row[:3], -1.0, row[4]), "amount"),
    ("a day collapsed", lambda row: row if "02-28" not in row[4] or row[0] == 1 else None, "rows_over"),
    ("a stale source", lambda row: row if row[4] < "2017-02-20" else None, "event_at"),
]


@pytest.mark.parametrize(("change", "column"), [case[1:] for case in UNFIT], ids=[case[0] for case in UNFIT])
def test_an_unfit_batch_stops_the_run(shop, ledger, change, column):
    """The error names the expectation, the batch is kept, one alert is raised, the features stay."""
    before = features(shop)
    changed = [change(row) for row in GOOD]
    shop.write([row for row in changed if row is not None])
    for _ in range(2):
        with pytest.raises(DataError, match=f"source:purchases is not fit.*{column}"):
            validate_sources(shop.settings, ledger, BATCH, NOW)
    rows, result = kept(shop)
    assert rows
    assert not result["passed"]
    (alert,) = ledger.open_alerts()
    assert ("data_quality", "source:purchases") == (alert.content.kind, alert.content.subject)
    path = offline_folder(shop.settings, "customer_spending") / f"{DAY}.parquet"
    assert before == path.read_bytes()


def test_a_missing_column_stops_the_run(shop, ledger):
    """The raw rows are kept as they came, with what they lack."""
    shop.write(GOOD, without="sales_value")
    with pytest.raises(DataError, match=r"expect_column_to_exist\(sales_value\)"):
        validate_sources(shop.settings, ledger, BATCH, NOW)
    rows, _ = kept(shop)
    assert (len(GOOD), {"lacks sales_value"}) == (len(rows), {row["reason"] for row in rows})


def test_a_fit_batch_resolves_the_alert(shop, ledger):
    """Once the source is right again, its alert is closed and the next defect is told of anew."""
    shop.write(GOOD, without="sales_value")
    with pytest.raises(DataError):
        validate_sources(shop.settings, ledger, BATCH, NOW)
    shop.write(GOOD)
    validate_sources(shop.settings, ledger, BATCH, NOW)
    assert () == ledger.open_alerts()
    kinds = [event.kind for event in ledger.events()]
    assert [EventKind.ALERT_RAISED, EventKind.ALERT_RESOLVED] == kinds


def test_old_defects_are_not_told_again(shop, ledger):
    """A run reports what arrived since the day before its own; what lies further back was reported then."""
    shop.write([*GOOD, BAD[0][0]])
    later = replace(BATCH, first=on("2017-03-05"), last=on("2017-03-05"), as_of=at("2017-03-05"))
    assert {} == validate_sources(shop.settings, ledger, later, NOW)["purchases"].set_aside
