import pytest

from include.adapters.label_store import read_labels
from include.contracts.errors import ContractError, SourceError
from include.data.labels import compute_labels
from tests.shop import Shop, at

PURCHASES = [
    (1, 10, 1, 2.0, "2017-03-01T10:00:00"),
    (1, 11, 1, 2.0, "2017-03-20T00:00:00"),
    (2, 12, 1, 2.0, "2017-03-05T23:59:59"),
    (9, 13, 1, 2.0, "2017-06-30T23:00:00"),
]


def values(shop, day, known_by="2018-01-01"):
    """Return the labels of a day by unit."""
    found = read_labels(shop.settings, "churn", at(known_by)).to_pylist()
    return {row["unit"]: row["value"] for row in found if row["event_at"] == at(day)}


def test_who_churned(tmp_path):
    """By hand: on 6 March customer 1 buys again after just 14 days, too late; on 7 March in time."""
    shop = Shop(tmp_path, PURCHASES)
    compute_labels(shop.settings, shop.churn, at("2017-02-01"), at("2017-06-01"), at("2017-07-01"))
    assert {} == values(shop, "2017-03-01")
    assert {"1": 1.0} == values(shop, "2017-03-05")
    assert {"1": 1.0, "2": 1.0} == values(shop, "2017-03-06")
    assert {"1": 0.0, "2": 1.0} == values(shop, "2017-03-07")
    assert {"1": 1.0, "2": 1.0} == values(shop, "2017-03-31")
    assert {"1": 1.0, "2": 1.0} == values(shop, "2017-04-04")
    assert {"1": 1.0} == values(shop, "2017-04-05")


def test_a_label_is_not_written_before_it_is_known(tmp_path):
    """As of a moment only labels with known_at at or before it are there."""
    shop = Shop(tmp_path, [*PURCHASES, (9, 20, 1, 2.0, "2017-03-19T20:00:00")])
    compute_labels(shop.settings, shop.churn, at("2017-03-01"), at("2017-06-01"), at("2017-03-20"))
    found = read_labels(shop.settings, "churn", at("2018-01-01"))
    assert at("2017-03-06") == max(found["event_at"].to_pylist())
    assert at("2017-03-20") == max(found["known_at"].to_pylist())


def test_silence_of_the_source_is_not_churn(tmp_path):
    """A window that reaches past the last row of a source gone silent gives no label."""
    shop = Shop(tmp_path, PURCHASES[:-1])
    compute_labels(shop.settings, shop.churn, at("2017-03-01"), at("2017-06-01"), at("2017-07-01"))
    assert {"1": 1.0, "2": 1.0} == values(shop, "2017-03-06")
    assert {} == values(shop, "2017-03-07")


def test_computing_again_changes_nothing(tmp_path):
    """A second run adds no row, whatever its chunks."""
    shop = Shop(tmp_path, PURCHASES)
    window = (at("2017-03-01"), at("2017-06-01"))
    assert 0 < compute_labels(shop.settings, shop.churn, *window, at("2017-07-01"))
    assert 0 == compute_labels(shop.settings, shop.churn, *window, at("2017-07-01"))
    assert 0 == compute_labels(shop.settings, shop.churn, at("2017-03-20"), window[1], at("2017-07-01"))


def test_a_late_purchase_corrects_a_label(tmp_path):
    """A purchase that turns up later makes a new version, known from then."""
    shop = Shop(tmp_path, PURCHASES)
    window = (at("2017-03-06"), at("2017-03-07"))
    compute_labels(shop.settings, shop.churn, *window, at("2017-06-30"))
    shop.write([*PURCHASES, (2, 14, 1, 1.0, "2017-03-10T12:00:00")])
    assert 1 == compute_labels(shop.settings, shop.churn, *window, at("2017-07-01"))
    assert {"1": 1.0, "2": 1.0} == values(shop, "2017-03-06", known_by="2017-06-30")
    assert {"1": 1.0, "2": 0.0} == values(shop, "2017-03-06", known_by="2017-07-01")


def test_bad_label_queries_are_refused(tmp_path):
    """A query with other columns, one slower than the contract says, and a missing raw column stop it."""
    shop = Shop(tmp_path, PURCHASES)
    window = (at("2017-03-01"), at("2017-04-01"), at("2017-07-01"))
    query = shop.churn.path / "label.sql"
    good = query.read_text()
    query.write_text("SELECT customer_id, event_at FROM purchases")
    with pytest.raises(ContractError, match="it must give customer_id, event_at, known_at, value"):
        compute_labels(shop.settings, shop.churn, *window)
    query.write_text(good.replace("INTERVAL 14 DAY AS known_at", "INTERVAL 15 DAY AS known_at"))
    with pytest.raises(ContractError, match=r"label\.delay is 14 days"):
        compute_labels(shop.settings, shop.churn, *window)
    query.write_text(good)
    shop.write(PURCHASES, without="household_id")
    with pytest.raises(SourceError, match="'household_id'"):
        compute_labels(shop.settings, shop.churn, *window)
    assert not shop.settings.labels_folder.exists()
