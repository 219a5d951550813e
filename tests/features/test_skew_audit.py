import json
import shutil
import sqlite3
from dataclasses import replace
from datetime import datetime, timedelta

import pyarrow.parquet
import pytest
import yaml

from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.online_features import OnlineFeatures, OnlineRow
from include.adapters.online_rows import pack, unpack
from include.adapters.prediction_log import read
from include.adapters.source_definitions import SHARED_SOURCES
from include.config.models import ModelFolder
from include.config.settings import REPOSITORY_ROOT, Settings
from include.config.transforms import SHARED_TRANSFORMS
from include.contracts.errors import DataError
from include.features.materialize import compute_features
from include.features.online import materialize_online
from include.features.skew_audit import alert_on, audit_skew, read_report, report_path
from serving.gateway import request_features
from serving.gateway.request_features import RequestFeatures
from tests.features.served import dataplane, predict
from tests.shop import Kept, Shop, at, half_a_year, on

NOON = at("2017-03-08T12:00:00")
AS_OF = at("2017-03-09")
CUSTOMERS = [1, 2, 3, 4, 5, 6, 7, 99]
"""7 bought once, in January; 99 is unknown."""


def serve(settings, folder, customers, moment, features=None):
    """Send predictions for customers through the data plane."""
    with dataplane(settings, folder, features) as plane:
        predict(plane, folder.name, folder.contract.entity.name, customers, moment)


def online(shop, first):
    """Compute the features of some days up to 8 March, bring them online, and keep the shop as it is then."""
    compute_features(shop.settings, on(first), on("2017-03-08"), at("2017-03-08"))
    materialize_online(shop.settings, on("2017-03-08"))
    return Kept(shop)


@pytest.fixture(scope="module")
def kept_shop(tmp_path_factory):
    """A shop whose features are online as of 8 March, made once."""
    purchases = [*half_a_year(), (7, 7, 1, 5.0, "2017-01-20T10:00:00")]
    return online(Shop(tmp_path_factory.mktemp("shop"), purchases).narrowed(), "2017-02-10")


@pytest.fixture
def shop(kept_shop):
    """The shop as it was kept, whatever a test before did to it."""
    return kept_shop.restored()


class Broken:
    """A reader between the online store and the data plane that changes what was read."""

    def __init__(self, settings, change):
        self._features, self._change = OnlineFeatures(settings), change

    async def fetch(self, entity_key, values, views):
        return [self._change(row) for row in await self._features.fetch(entity_key, values, views)]


def changed(**features):
    """Return a change of features, by functions of their value."""
    return lambda row: replace(
        row,
        features={
            view: {
                name: features[name](value) if name in features and value is not None else value
                for name, value in values.items()
            }
            for view, values in row.features.items()
        },
    )


def without_rows(row):
    """Return what a reader gives that finds no row."""
    nothing = {view: dict.fromkeys(values) for view, values in row.features.items()}
    return OnlineRow(nothing, dict.fromkeys(row.timestamps))


def skewed(report):
    """Return the skewed values by feature, where there are any."""
    return {item.feature: item.skewed for item in report.features if item.skewed}


def of(feature, report):
    """Return a feature's part of a report."""
    return next(item for item in report.features if item.feature == feature)


def test_what_is_served_is_what_training_sees(shop):
    """Through the whole serving path every value equals its recomputation, an old and an absent row too."""
    serve(shop.settings, shop.churn, CUSTOMERS, NOON)
    report = audit_skew(shop.settings, NOON.date(), AS_OF)
    served = list(read(shop.settings.predictions_folder))
    assert {len(CUSTOMERS)} == {item.compared for item in report.features}
    assert {(0, 0.0)} == {(item.skewed, item.stale_ratio) for item in report.features}
    assert len(served) == report.audited == report.logged
    assert 2 == len({row.feature_timestamps["customer_spending"] for row in served if row.unit != "99"})
    assert report == read_report(shop.settings, NOON.date())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            changed(total_spend_30d=lambda value: round(value, 1)), {"total_spend_30d"}, id="rounded"
        ),
        pytest.param(changed(transaction_count_30d=float), {"transaction_count_30d"}, id="another type"),
        pytest.param(changed(preferred_category=str.lower), {"preferred_category"}, id="another spelling"),
        pytest.param(
            changed(days_since_last_purchase=lambda value: value + 1),
            {"days_since_last_purchase"},
            id="day off",
        ),
    ],
)
def test_a_changed_serving_path_is_found(shop, change, expected):
    """Rounding, a type, a spelling, an offset: the feature is named, and no other."""
    serve(shop.settings, shop.churn, CUSTOMERS, NOON, Broken(shop.settings, change))
    assert expected == skewed(audit_skew(shop.settings, NOON.date(), AS_OF)).keys()


def test_an_altered_online_value_is_found(shop):
    """Somebody gives every customer one customer's spend in the online store itself: all others are found."""
    with sqlite3.connect(shop.settings.online_store) as connection:
        (table,) = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%customer_spending'"
        ).fetchone()
        rows = {
            key: unpack(packed)
            for key, packed in connection.execute(f'SELECT entity_key, packed FROM "{table}" ORDER BY 1')  # noqa: S608
        }
        spend = next(iter(rows.values()))["total_spend_30d"]
        connection.executemany(
            f'UPDATE "{table}" SET packed = ? WHERE entity_key = ?',  # noqa: S608
            [(pack({**values, "total_spend_30d": spend}), key) for key, values in rows.items()],
        )
    serve(shop.settings, shop.churn, CUSTOMERS, NOON)
    assert {"total_spend_30d": 6} == skewed(audit_skew(shop.settings, NOON.date(), AS_OF))


def test_the_wrong_day_online_is_found(shop):
    """Yesterday's values under today's stamp are skew; yesterday's row as such is only late."""
    day = timedelta(days=1)
    serve(shop.settings, shop.churn, CUSTOMERS, NOON + day)
    late = audit_skew(shop.settings, (NOON + day).date(), AS_OF + day)
    assert {} == skewed(late)
    assert 0 < sum(item.delayed for item in late.features)
    stamped = Broken(
        shop.settings,
        lambda row: replace(
            row, timestamps={name: stamp and stamp + day for name, stamp in row.timestamps.items()}
        ),
    )
    serve(shop.settings, shop.churn, CUSTOMERS, NOON + day, stamped)
    assert "total_spend_30d" in skewed(audit_skew(shop.settings, (NOON + day).date(), AS_OF + day))


def test_a_dropped_row_is_found(shop):
    """A reader that loses rows is skewed, though other customers of that day were served."""
    lost = Broken(shop.settings, without_rows)
    serve(shop.settings, shop.churn, [1], NOON)
    serve(shop.settings, shop.churn, [2, 99], NOON + timedelta(hours=1), lost)
    assert set(dict.fromkeys(skewed(audit_skew(shop.settings, NOON.date(), AS_OF)).values())) == {1}


@pytest.fixture(scope="module")
def kept_timed(tmp_path_factory):
    """A shop whose model has one input, computed at the moment of the request; made once."""
    shop = Shop(tmp_path_factory.mktemp("timed"), half_a_year()).narrowed("hours_since_last_purchase")
    return online(shop, "2017-03-07")


@pytest.fixture
def timed(kept_timed):
    """That shop as it was kept."""
    return kept_timed.restored()


def test_request_time_features_are_recomputed(timed):
    """A served transform equals its own run on offline rows at the prediction's moment."""
    serve(timed.settings, timed.churn, CUSTOMERS, NOON)
    report = audit_skew(timed.settings, NOON.date(), AS_OF)
    hours = of("hours_since_last_purchase", report)
    assert (None, len(CUSTOMERS), 0, 0.0) == (hours.view, hours.compared, hours.skewed, hours.stale_ratio)
    assert {"hours_since_last_purchase", "last_purchase_epoch"} == {item.feature for item in report.features}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda values: [value and value // 24 for value in values], id="another unit"),
        pytest.param(lambda values: list(values)[::-1], id="rows mixed up"),
    ],
)
def test_a_changed_transform_is_found(timed, monkeypatch, change):
    """A gateway that gives other values than the function does is found, and nothing else is blamed."""
    original = request_features.run_transform
    monkeypatch.setattr(request_features, "run_transform", lambda *given: change(original(*given)))
    serve(timed.settings, timed.churn, CUSTOMERS, NOON)
    report = audit_skew(timed.settings, NOON.date(), AS_OF)
    assert {"hours_since_last_purchase"} == skewed(report).keys()
    assert 0 < len(of("hours_since_last_purchase", report).examples)


def test_another_moment_is_found(timed, monkeypatch):
    """A gateway that hands its transforms the wrong moment is found, though it logs the same one."""
    original = RequestFeatures.add
    monkeypatch.setattr(
        RequestFeatures,
        "add",
        lambda self, batch, moments: original(self, batch, [m + timedelta(hours=1) for m in moments]),
    )
    serve(timed.settings, timed.churn, [1, 2, 3], NOON)
    assert {"hours_since_last_purchase": 3} == skewed(audit_skew(timed.settings, NOON.date(), AS_OF))


def test_a_transform_read_late_is_late(timed):
    """What a transform makes of a row that was not replaced yet is a delay, not skew."""
    serve(timed.settings, timed.churn, [1], NOON + timedelta(days=1))
    day = (NOON + timedelta(days=1)).date()
    hours = of("hours_since_last_purchase", audit_skew(timed.settings, day, AS_OF + timedelta(days=1)))
    assert (0, 1) == (hours.skewed, hours.delayed)


def test_a_transform_that_is_not_at_hand(timed, caplog):
    """Predictions of a version whose transform was edited since are left out, counted and told of."""
    serve(timed.settings, timed.churn, [1, 2], NOON)
    own = timed.churn.path / "transforms"
    own.mkdir()
    name = "hours_since_last_purchase"
    text = (SHARED_TRANSFORMS / f"{name}.py").read_text().replace("3600.0", "60.0")
    (own / f"{name}.py").write_text(text)
    report = audit_skew(timed.settings, NOON.date(), AS_OF)
    assert (2, 0, 2, ()) == (report.logged, report.audited, report.unresolved, report.features)
    assert "churn 1.0.0 cannot be audited" in caplog.text


def test_what_was_never_online_is_no_skew(shop):
    """Customers whose days were never brought online were served nothing: said as such, once for all."""
    record = shop.settings.features_folder / "computed" / "customer_spending.json"
    days = json.loads(record.read_text())
    record.write_text(json.dumps({day: item | {"online_since": None} for day, item in days.items()}))
    lost = Broken(shop.settings, without_rows)
    serve(shop.settings, shop.churn, [1, 2], NOON, lost)
    spend = of("total_spend_30d", audit_skew(shop.settings, NOON.date(), AS_OF))
    assert (0, 2, 0) == (spend.skewed, spend.not_materialised, spend.delayed)


def test_a_name_that_two_views_have(shop):
    """A feature is held against the view its version reads it from, not one that has another of that name."""
    views = shop.churn.path / "views"
    views.mkdir()
    definition = {
        "name": "other",
        "description": "A feature of the same name, and one of its own.",
        "owner": "retention",
        "entity": {"name": "customer_id", "type": "int64"},
        "ttl": "90d",
        "sources": ["purchases"],
        "fields": [
            {"name": name, "dtype": "float64", "description": "Made up."}
            for name in ("total_spend_30d", "extra")
        ],
    }
    (views / "other.yaml").write_text(yaml.safe_dump(definition))
    (views / "other.sql").write_text(
        "SELECT DISTINCT customer_id, day AS event_timestamp, -1.0 AS total_spend_30d, 2.0 AS extra "
        "FROM purchases, days WHERE event_at < day"
    )
    shop.read("extra", "other")
    compute_features(shop.settings, on("2017-03-08"), on("2017-03-08"), at("2017-03-08"))
    materialize_online(shop.settings, on("2017-03-08"))
    serve(shop.settings, shop.churn, [1, 2], NOON)
    report = audit_skew(shop.settings, NOON.date(), AS_OF)
    assert {} == skewed(report)
    assert "customer_spending" == of("total_spend_30d", report).view
    assert ("other", 2) == (of("extra", report).view, of("extra", report).compared)


@pytest.fixture
def arrivals(tmp_path, monkeypatch):
    """Sources whose purchases say when they arrived."""
    folder = tmp_path / "sources"
    shutil.copytree(SHARED_SOURCES, folder)
    definition = yaml.safe_load((folder / "purchases.yaml").read_text())
    definition["columns"]["ingested_at"] = {"column": "ingested_at", "type": "timestamp"}
    (folder / "purchases.yaml").write_text(yaml.safe_dump(definition | {"ingested_at": "ingested_at"}))
    monkeypatch.setattr("include.adapters.source_definitions.SHARED_SOURCES", folder)


def test_late_purchases_are_staleness(arrivals, tmp_path):
    """A purchase that arrives after materialisation is a delay, after the prediction a correction."""
    late = [
        (1, 1, 1, 50.0, "2017-03-07T12:00:00", "2017-03-08T10:00:00"),
        (2, 2, 1, 50.0, "2017-03-07T12:00:00", "2017-03-08T18:00:00"),
    ]
    shop = Shop(tmp_path, half_a_year()).narrowed()
    write_with_arrivals(shop, [*((*line, line[4]) for line in half_a_year()), *late])
    compute_features(shop.settings, on("2017-03-07"), on("2017-03-08"), at("2017-03-08"))
    materialize_online(shop.settings, on("2017-03-08"))
    serve(shop.settings, shop.churn, CUSTOMERS, NOON)
    spend = of("total_spend_30d", audit_skew(shop.settings, NOON.date(), AS_OF))
    assert (0, 1, 1) == (spend.skewed, spend.delayed, spend.corrected)
    compute_features(shop.settings, on("2017-03-08"), on("2017-03-08"), AS_OF)
    materialize_online(shop.settings, on("2017-03-08"))
    serve(shop.settings, shop.churn, [1, 2], NOON)
    spend = of("total_spend_30d", audit_skew(shop.settings, NOON.date(), AS_OF))
    assert (1, 1, 1) == (spend.skewed, spend.delayed, spend.corrected), "2 was told its future"


def test_alerts_name_predictions_and_no_entity(shop):
    """One alert a model, with the ratio, some prediction ids, and neither a customer nor a value."""
    serve(
        shop.settings,
        shop.churn,
        CUSTOMERS,
        NOON,
        Broken(shop.settings, changed(total_spend_30d=lambda _: 1234.5)),
    )
    report = audit_skew(shop.settings, NOON.date(), AS_OF)
    upgrade(shop.settings.ledger_uri)
    ledger = Ledger(shop.settings.ledger_uri)
    assert ["churn"] == alert_on(report, ledger)
    (alert,) = ledger.open_alerts()
    figures = alert.content.figures["customer_spending:total_spend_30d"]
    assert 7 / 8 == figures["mismatch_ratio"]
    logged = {row.prediction_id for row in read(shop.settings.predictions_folder)}
    assert set(figures["prediction_ids"]) <= logged
    assert "1234.5" not in str(alert)
    assert [] == alert_on(audit_skew(shop.settings, NOON.date(), AS_OF, threshold=0.9), ledger)
    assert () == tuple(ledger.open_alerts())


def test_a_sample_is_the_same_each_time(shop):
    """Which predictions are audited depends on their ids; the report says how many there were."""
    serve(shop.settings, shop.churn, CUSTOMERS, NOON)
    reports = [audit_skew(shop.settings, NOON.date(), AS_OF, sample=3) for _ in range(2)]
    assert reports[0] == reports[1]
    assert (8, 3) == (reports[0].logged, reports[0].audited)


def test_a_quiet_day(shop):
    """A day without predictions has a report without features; one never audited has none."""
    assert () == audit_skew(shop.settings, NOON.date(), AS_OF).features
    assert report_path(shop.settings, NOON.date()).is_file()
    with pytest.raises(DataError, match="was not audited"):
        read_report(shop.settings, on("2017-01-01"))


@pytest.mark.slow
def test_real_customers_have_no_skew(tmp_path):
    """On the retail data, every fifth customer on a day of November: not one of their values differs."""
    settings = Settings(home=tmp_path)
    folder = ModelFolder(REPOSITORY_ROOT / "include" / "models" / "churn")
    moment = at("2017-11-01T18:00:00")
    compute_features(settings, on("2017-08-03"), moment.date(), at("2017-11-01"))
    materialize_online(settings, moment.date())
    customers = list(range(1, 2501, 5))
    for first in range(0, len(customers), settings.max_batch):
        serve(settings, folder, customers[first : first + settings.max_batch], moment)
    report = audit_skew(settings, moment.date(), at("2017-11-02"))
    assert {500} == {item.compared for item in report.features}
    assert {(0.0, 0.0)} == {(item.mismatch_ratio, item.stale_ratio) for item in report.features}


def write_with_arrivals(shop, purchases):
    """Write purchases with the moment each arrived, the last item of each."""
    shop.write([line[:5] for line in purchases])
    path = shop.folder / "purchases.parquet"
    arrived = [datetime.fromisoformat(line[5]) for line in purchases]
    column = pyarrow.array(arrived, pyarrow.timestamp("us"))
    table = pyarrow.parquet.read_table(path).append_column("ingested_at", column)
    pyarrow.parquet.write_table(table, path)
