import sqlite3
from contextlib import closing

import pytest

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.contracts.errors import DataError
from include.features.materialize import compute_features, stage_features
from include.features.online import materialize_online
from include.features.validate_views import validate_views
from include.features.views import used_views
from tests.shop import Shop, at, half_a_year, on

DAY, NEXT = on("2017-03-01"), on("2017-03-02")


@pytest.fixture
def shop(tmp_path):
    """A shop with one day computed and online, and a migrated ledger."""
    shop = Shop(tmp_path, half_a_year()).narrowed()
    upgrade(shop.settings.ledger_uri)
    compute_features(shop.settings, DAY, DAY, at("2017-03-02"))
    materialize_online(shop.settings, DAY)
    return shop


def stores(shop):
    """Return the bytes of the offline store's files and every row of the online store."""
    files = (shop.settings.features_folder / "offline").rglob("*.parquet")
    # A closing connection folds SQLite's log into its file: the same rows in other bytes.
    with closing(sqlite3.connect(shop.settings.online_store)) as connection:
        online = "\n".join(connection.iterdump())
    return {str(path): path.read_bytes() for path in files} | {"online": online}


def test_fit_views_are_published(shop):
    """Staged days are invisible until they pass, and then they are where features are read."""
    before = stores(shop)
    stage_features(shop.settings, [NEXT], at("2017-03-02"))
    assert before == stores(shop)
    validate_views(shop.settings, Ledger(shop.settings.ledger_uri), [NEXT], at("2017-03-02"))
    assert [f"{NEXT}.parquet"] == [path.rpartition("/")[2] for path in stores(shop).keys() - before.keys()]


def test_unfit_views_leave_both_stores_alone(shop, monkeypatch):
    """A value out of its range keeps the rows in quarantine and raises an alert; no byte changes."""
    before = stores(shop)
    ledger = Ledger(shop.settings.ledger_uri)
    stage_features(shop.settings, [DAY, NEXT], at("2017-03-02"))
    lower_maximum(monkeypatch)
    with pytest.raises(DataError, match=r"view:customer_spending is not fit.*total_spend_30d"):
        validate_views(shop.settings, ledger, [DAY, NEXT], at("2017-03-02"))
    assert before == stores(shop)
    assert ["view:customer_spending"] == [alert.content.subject for alert in ledger.open_alerts()]
    assert 1 == len(list((shop.settings.quarantine_folder / "customer_spending").glob("*.parquet")))


def lower_maximum(monkeypatch):
    """Let the view's definition allow less than what customers spend."""
    load = used_views

    def stricter(settings, *tell):
        views = load(settings, *tell)
        view = views["customer_spending"]
        columns = dict(view.definition.checks.columns)
        columns["total_spend_30d"] = columns["total_spend_30d"].model_copy(update={"maximum": 0.5})
        checks = view.definition.checks.model_copy(update={"columns": columns})
        definition = view.definition.model_copy(update={"checks": checks})
        return {"customer_spending": type(view)(definition, view.sql)}

    monkeypatch.setattr("include.features.validate_views.used_views", stricter)
