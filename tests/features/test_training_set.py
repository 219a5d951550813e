from itertools import pairwise

import pyarrow
import pyarrow.parquet
import pytest

from include.adapters.artefacts import ArtefactStore
from include.adapters.packages import package_uri, publish_package
from include.adapters.parquet import content_sha256
from include.contracts.errors import DataError
from include.contracts.packages import Manifest, Version
from include.contracts.signatures import FeatureInput
from include.data.labels import compute_labels
from include.features.materialize import compute_features
from include.features.training_set import freeze_training_set
from include.features.views import offline_folder
from tests.shop import DEMOGRAPHICS, SPENDING, TELLING, Kept, Shop, at, half_a_year, on
from tests.synthetic import CODE

AS_OF = at("2017-06-01")


@pytest.fixture(scope="module")
def kept_shop(tmp_path_factory):
    """A shop with features and labels up to June."""
    shop = Shop(tmp_path_factory.mktemp("shop"), half_a_year())
    compute_features(shop.settings, on("2017-02-01"), on("2017-06-01"), at("2017-06-01"))
    compute_labels(shop.settings, shop.churn, at("2017-02-01"), AS_OF, AS_OF)
    return Kept(shop)


@pytest.fixture
def shop(kept_shop):
    """The shop as it was kept, whatever a test before did to it."""
    return kept_shop.restored()


def frozen(shop, snapshot):
    """Return a snapshot's table."""
    store = ArtefactStore(shop.settings.artefacts_folder)
    return pyarrow.parquet.read_table(store.path(snapshot.uri))


def test_labels_meet_the_features_of_their_day(shop):
    """Each row has the features stamped at its moment, moments a week apart, back from the last known."""
    snapshot = freeze_training_set(shop.settings, shop.churn.contract, AS_OF)
    table = frozen(shop, snapshot)
    inputs = [item.name for item in shop.churn.contract.features.inputs]
    slices = [f"slice:customer_demographics.{name}" for name in ("age", "income", "household_composition")]
    assert ["unit", "event_at", "known_at", "label", *inputs, *slices] == table.column_names
    moments = sorted(set(table["event_at"].to_pylist()))
    assert at("2017-05-14") == moments[-1]
    assert {7} == {(b - a).days for a, b in pairwise(moments)}
    day = pyarrow.parquet.read_table(
        offline_folder(shop.settings, "customer_spending") / "2017-05-14.parquet"
    ).to_pylist()
    last = [row for row in table.to_pylist() if row["event_at"] == moments[-1]]
    assert [(str(row["customer_id"]), *(row[name] for name in SPENDING)) for row in day] == [
        (row["unit"], *(row[name] for name in SPENDING)) for row in last
    ]


def test_slices_travel_with_the_rows(shop):
    """Who told something of themselves has it as of each moment, the others nothing; it is text."""
    table = frozen(shop, freeze_training_set(shop.settings, shop.churn.contract, AS_OF))
    column = "slice:customer_demographics.age"
    assert pyarrow.string() == table.schema.field(column).type
    found = {(int(row["unit"]) in TELLING, row[column]) for row in table.to_pylist()}
    assert {(True, DEMOGRAPHICS["age"]), (False, None)} == found


def test_freezing_again_gives_the_same_snapshot(shop):
    """The same rows have the same hash and are not written again; the file holds what the hash says."""
    first = freeze_training_set(shop.settings, shop.churn.contract, AS_OF)
    path = ArtefactStore(shop.settings.artefacts_folder).path(first.uri)
    before = path.stat().st_mtime_ns
    assert first == freeze_training_set(shop.settings, shop.churn.contract, AS_OF)
    assert before == path.stat().st_mtime_ns
    assert first.sha256 == content_sha256(frozen(shop, first))
    assert dict.fromkeys(["customer_spending", "customer_basket"], 90 * 86_400.0) == first.feature_ttl_seconds
    assert first.rows == frozen(shop, first).num_rows


def test_only_what_was_known_then(shop):
    """As of May no label known later is in the set, and every row lies in the snapshot's window."""
    snapshot = freeze_training_set(shop.settings, shop.churn.contract, at("2017-05-01"))
    table = frozen(shop, snapshot)
    assert at("2017-05-01") >= max(table["known_at"].to_pylist())
    assert snapshot.start == min(table["event_at"].to_pylist())
    assert snapshot.end > max(table["event_at"].to_pylist())


def test_rows_without_features_are_kept(shop):
    """Where no features were computed the row stays, its features null."""
    before = freeze_training_set(shop.settings, shop.churn.contract, AS_OF)
    for path in offline_folder(shop.settings, "customer_spending").glob("2017-0[2345]*.parquet"):
        path.unlink()
    after = freeze_training_set(shop.settings, shop.churn.contract, AS_OF)
    assert before.rows == after.rows
    assert before.sha256 != after.sha256
    assert {after.rows} == {frozen(shop, after)[name].null_count for name in SPENDING}


def test_no_labels_no_training_set(shop):
    """Without a known label the reader is told what to compute."""
    with pytest.raises(DataError, match="compute the labels first"):
        freeze_training_set(shop.settings, shop.churn.contract, at("2017-02-05"))


def champion(shop, snapshot, *, signature=None):
    """Package a version of the present contract, trained on a snapshot, and return it."""
    contract = shop.churn.contract
    manifest = Manifest(
        model="churn",
        signature=signature or contract.signature,
        snapshot=snapshot,
        code=CODE,
        contract_sha256=contract.sha256,
        hyperparameters={},
        seed=7,
        metrics={},
        requested_by="ada",
        run_id="run1",
        trained_at=AS_OF,
        duration_seconds=1.0,
        hardware="none",
        files={},
    )
    digest = publish_package(ArtefactStore(shop.settings.artefacts_folder), manifest, {})
    return Version(
        model="churn",
        version="1.0.0",
        artefact_sha256=digest,
        package_uri=package_uri("churn", digest),
        run_id="run1",
        requested_by="ada",
        registered_at=AS_OF,
    )


def test_what_only_the_champion_reads_travels_too(shop):
    """Where features were dropped, and a transform, the champion's own columns hold what it would read."""
    whole = freeze_training_set(shop.settings, shop.churn.contract, AS_OF)
    serving = champion(shop, whole)
    inputs = {item.name: item for item in shop.churn.contract.features.inputs}
    shop.narrowed("days_since_last_purchase")
    both = frozen(shop, freeze_training_set(shop.settings, shop.churn.contract, AS_OF, serving))
    assert "days_since_last_purchase" in both.column_names
    own = [item for name, item in inputs.items() if name != "days_since_last_purchase"]
    expected = frozen(shop, whole)
    assert {item.frozen_as for item in own} == {name for name in both.column_names if ":" in name}
    for item in own:
        assert expected[item.name].equals(both[item.frozen_as]), item.name


def test_a_champion_that_reads_the_same_changes_nothing(shop):
    """The set of a retrain has the hash it has without a champion."""
    alone = freeze_training_set(shop.settings, shop.churn.contract, AS_OF)
    assert alone == freeze_training_set(shop.settings, shop.churn.contract, AS_OF, champion(shop, alone))


def test_what_the_store_no_longer_has_is_left_out(shop, caplog):
    """A champion that reads a feature nobody computes any more stops no training; the log names it."""
    signature = shop.churn.contract.signature
    gone = FeatureInput(name="mood", kind="numeric", view="customer_moods")
    old = signature.model_copy(update={"inputs": (*signature.inputs, gone)})
    alone = freeze_training_set(shop.settings, shop.churn.contract, AS_OF)
    serving = champion(shop, alone, signature=old)
    assert alone == freeze_training_set(shop.settings, shop.churn.contract, AS_OF, serving)
    assert "mood" in caplog.text
