from datetime import UTC, datetime, timedelta

import pyarrow.parquet
import pytest

from include.adapters.artefact_home import artefact_store
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.online_features import OnlineFeatures
from include.adapters.outcome_log import OutcomeLog
from include.adapters.outcome_log import read as read_outcomes
from include.adapters.prediction_log import PredictionLog, read
from include.adapters.snapshots import read_snapshot
from include.commands.erase import erase
from include.contracts.errors import ArtefactError, PlatformError
from include.contracts.predictions import OutcomeRow
from include.data.labels import compute_labels
from include.features.materialize import compute_features
from include.features.online import materialize_online
from include.features.training_set import freeze_training_set
from include.monitoring.compaction import compact_predictions
from include.monitoring.label_days import join_days
from tests.adapters.test_prediction_log import MOMENT, row
from tests.shop import CUSTOMER, Shop, at, half_a_year, on

AS_OF = at("2017-06-01")
ERASED, KEPT = 1, 2


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop whose customers have features, labels, a training set, predictions and outcomes."""
    shop = Shop(tmp_path_factory.mktemp("shop"), half_a_year())
    settings = shop.settings
    upgrade(settings.ledger_uri)
    compute_features(settings, on("2017-05-01"), on("2017-06-01"), AS_OF)
    materialize_online(settings, on("2017-06-01"))
    compute_labels(settings, shop.churn, at("2017-05-01"), AS_OF, AS_OF)
    rows = [row(entity={"customer_id": customer}, unit=str(customer)) for customer in (ERASED, KEPT) * 3]
    log(settings, rows[:4])
    compact_predictions(settings, datetime.now(UTC) + timedelta(hours=1))
    log(settings, rows[4:])
    told = OutcomeLog(settings.outcomes_folder, 2**20)
    told.append([outcome("by id", prediction_id=rows[0].prediction_id), outcome("by unit", unit=str(ERASED))])
    told.append([outcome("of another", unit=str(KEPT))])
    truths = [(str(unit), value) for unit in (ERASED, KEPT) for value in (1.0, 7.0)]
    told.append([outcome(f"{unit} {value}", "label", value, unit=unit) for unit, value in truths])
    told.close()
    join_days(settings, shop.churn.contract, MOMENT + timedelta(days=1))
    shop.snapshot = freeze_training_set(settings, shop.churn.contract, AS_OF)
    for name, customers in (("held", [ERASED, KEPT]), ("free", [KEPT])):
        publish_scoring_set(settings, tmp_path_factory.mktemp("set"), name, customers)
    shop.erased = erase(settings, "customer_id", str(ERASED), "asked for it", "olga")
    return shop


def log(settings, rows):
    """Write rows and seal them."""
    writer = PredictionLog(settings.predictions_folder, 2**20)
    writer.append(rows)
    writer.close()


def publish_scoring_set(settings, folder, name, customers):
    """Freeze a batch's entities, as `freeze_scoring_set` does."""
    table = pyarrow.table({"customer_id": customers, "spend": [1.0] * len(customers)})
    pyarrow.parquet.write_table(table, folder / "features.parquet")
    artefact_store(settings).publish(folder, f"scoring_sets/churn/{name}")


def outcome(outcome_id, metric="m", value=1.0, **about):
    """An outcome of a prediction or a unit."""
    moments = {"occurred_at": MOMENT, "recorded_at": MOMENT}
    return OutcomeRow(outcome_id=outcome_id, model="churn", metric=metric, value=value, **moments, **about)


def sizes(paths):
    """Return the rows of Parquet files."""
    return [pyarrow.parquet.read_metadata(path).num_rows for path in paths]


def test_no_row_of_the_entity_is_left_anywhere(shop):
    """In no Parquet file, whatever its columns are, and in no log; everybody else's rows are there."""
    home, found = shop.settings.home, set()
    for path in home.rglob("*.parquet"):
        table = pyarrow.parquet.read_table(path, partitioning=None)
        for column in {"customer_id", "unit"} & set(table.column_names):
            found |= {str(value) for value in table[column].to_pylist()}
    assert str(KEPT) in found
    assert [3] == [
        pyarrow.parquet.read_metadata(path).num_rows for path in home.rglob("labelled/**/*.parquet")
    ]
    assert [1] == [
        pyarrow.parquet.read_metadata(path).num_rows for path in home.rglob("labels_churn/*.parquet")
    ]
    assert str(ERASED) not in found
    assert {KEPT} == {item.entity["customer_id"] for item in read(shop.settings.predictions_folder)}
    assert 3 == len(list(read(shop.settings.predictions_folder)))
    assert ["of another", f"{KEPT} 1.0", f"{KEPT} 7.0"] == [
        item.outcome_id for item in read_outcomes(shop.settings.outcomes_folder)
    ]


def test_the_entity_is_unknown_online(shop):
    """As if it had never been there."""
    views = {"customer_spending": ["total_spend_30d"]}
    erased, kept = OnlineFeatures(shop.settings).read(CUSTOMER, [ERASED, KEPT], views)
    assert (None, False) == (
        erased.timestamps["customer_spending"],
        kept.timestamps["customer_spending"] is None,
    )


def test_a_training_set_is_found_by_the_one_it_was(shop):
    """Whoever asks for the old one gets the new one, proven by its own hash, which the ledger knows."""
    store = artefact_store(shop.settings)
    frame = read_snapshot(store, shop.snapshot)
    assert str(ERASED) not in set(frame["unit"])
    assert shop.snapshot.rows - len(frame) == shop.erased[0].removed["training sets of churn"]
    assert not store.exists(shop.snapshot.uri)
    ledger = Ledger(shop.settings.ledger_uri)
    current = ledger.successor_of(shop.snapshot.sha256)
    assert {shop.snapshot.sha256: current} == shop.erased[0].snapshots
    assert f"snapshots/churn/{current}.parquet" in store.uris("snapshots/churn/*.parquet")
    assert current == ledger.successor_of(current)
    ledger.close()


def test_a_scoring_set_is_dropped_whole(shop):
    """The one that held the entity is gone, so that nothing is scored from it; another's stays."""
    store = artefact_store(shop.settings)
    assert ["scoring_sets/churn/free/features.parquet"] == store.uris("scoring_sets/churn/*/*")
    assert not store.exists("scoring_sets/churn/held")
    assert 1 == shop.erased[0].removed["scoring sets of churn"]


def test_the_ledger_tells_of_it_and_holds_no_entity(shop):
    """Counts, hashes, who and why; the chain holds."""
    ledger = Ledger(shop.settings.ledger_uri)
    (event,) = ledger.events()
    assert ("entity_erased", "olga", "asked for it") == (event.kind, event.actor, event.payload["reason"])
    assert {"prediction log": 3, "outcome log": 4}.items() <= event.payload["removed"].items()
    assert {"erasure_id", "entity", "removed", "snapshots", "reason"} == event.payload.keys()
    assert 1 == ledger.verify()
    ledger.close()


def test_erased_again_there_is_nothing_left(shop):
    """A second run finds nothing, and says so in the ledger."""
    again, being_written = erase(shop.settings, "customer_id", str(ERASED), "once more", "olga")
    assert ({}, {}, 0) == (again.removed, again.snapshots, being_written)


def test_what_is_being_written_is_told(shop):
    """A gateway's open segment stays whole; the next run takes the rows."""
    writer = PredictionLog(shop.settings.predictions_folder, 2**20)
    writer.append([row(entity={"customer_id": 3}, unit="3"), row(entity={"customer_id": 4}, unit="4")])
    assert 1 == erase(shop.settings, "customer_id", "3", "asked", "olga")[1]
    writer.close()
    erasure, being_written = erase(shop.settings, "customer_id", "3", "asked", "olga")
    assert (1, 0) == (erasure.removed["prediction log"], being_written)
    assert {KEPT, 4} == {item.entity["customer_id"] for item in read(shop.settings.predictions_folder)}


def test_a_successor_nobody_erased_for_is_found(shop):
    """A training set put in another's place behind the ledger's back does not pass for it."""
    store = artefact_store(shop.settings)
    uri = store.uris("snapshots/churn/*.successor.json")[0]
    store.write(uri, store.read(uri).replace(b'"rows"', b'"row"'))
    with pytest.raises(ArtefactError, match="successor"):
        read_snapshot(store, shop.snapshot)


@pytest.mark.parametrize(
    ("entity", "value", "reason", "message"),
    [
        ("pump_id", "1", "asked", "no view has the entity 'pump_id'; there are: customer_id"),
        ("customer_id", "seven", "asked", "'seven' is no customer_id"),
        ("customer_id", "01", "asked", "'01' is no customer_id"),
        ("customer_id", "1", " ", "say why"),
    ],
)
def test_what_cannot_be_meant_is_refused(shop, entity, value, reason, message):
    """Before anything is touched."""
    with pytest.raises(PlatformError, match=message):
        erase(shop.settings, entity, value, reason, "olga")
