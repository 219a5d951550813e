from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import make_url

from include.adapters.artefact_home import artefact_store
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.prediction_log import PredictionLog, read
from include.commands.backup import NAME, back_up
from include.commands.restore import load, restore
from include.config.settings import Settings
from include.contracts.errors import PlatformError
from include.monitoring.compaction import compact_predictions
from tests.adapters.ledger.changes import advance_to_loaded, open_release, register
from tests.adapters.test_prediction_log import logged, row
from tests.databases import new_database
from tests.monitoring.test_label_days import DAY, KNOWN, NOON, join, learn, truths

NOW = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path, ledger_url: str) -> Settings:
    """A platform with an open release, a package, labels, and predictions in Parquet and in segments."""
    settings = Settings(home=tmp_path / "home", ledger_url=ledger_url)
    ledger = Ledger(ledger_url)
    register(ledger)
    advance_to_loaded(ledger, open_release(ledger))
    ledger.close()
    artefact_store(settings).write("packages/churn/a/model.onnx", b"graph")
    (settings.labels_folder / "churn").mkdir(parents=True)
    (settings.labels_folder / "churn" / "2017-11-01.parquet").write_bytes(b"labels")
    log = PredictionLog(settings.predictions_folder, 2**20)
    log.append([row(), row()])
    log.close()
    compact_predictions(settings, NOW)
    return settings


@pytest.fixture
def empty(request: pytest.FixtureRequest, tmp_path: Path, settings: Settings) -> Settings:
    """A place of the same kind with nothing in it."""
    url = f"sqlite:///{tmp_path / 'there' / 'ledger.sqlite3'}"
    if not settings.ledger_url.startswith("sqlite"):
        url = new_database(request.getfixturevalue("postgres"))
    return Settings(home=tmp_path / "there" / "home", ledger_url=url)


def test_all_is_as_it_was(settings, empty, tmp_path):
    """Chain, state, packages, labels and every prediction, whether it was being written or compacted."""
    writer = PredictionLog(settings.predictions_folder, 2**20)
    writer.append([row()])
    backup = back_up(settings, tmp_path / "backup", NOW)
    writer.close()
    assert backup == restore(empty, tmp_path / "backup")

    ledger = Ledger(empty.ledger_uri)
    assert (backup.events, "r1") == (ledger.verify(), ledger.open_release_of("churn").release_id)
    ledger.close()
    assert b"graph" == artefact_store(empty).read("packages/churn/a/model.onnx")
    assert b"labels" == (empty.labels_folder / "churn" / "2017-11-01.parquet").read_bytes()
    assert list(read(settings.predictions_folder)) == list(read(empty.predictions_folder))
    assert 3 == len(list(read(empty.predictions_folder)))


def test_labelled_predictions_are_put_back(tmp_path):
    """Every truth as it was known at each moment; nothing is joined again, and a late label still is."""
    here, there = Settings(home=tmp_path / "here"), Settings(home=tmp_path / "there")
    upgrade(here.ledger_uri)
    logged(here.predictions_folder, [row(NOON, unit=unit) for unit in "abc"])
    for values, as_of in (({"a": 1.0, "b": 0.0}, KNOWN), ({"a": 0.0}, KNOWN + DAY)):
        learn(here, values, as_of)
        join(here, as_of)
    back_up(here, tmp_path / "backup", NOW)
    restore(there, tmp_path / "backup")

    assert {"a": 1.0, "b": 0.0} == truths(there, KNOWN)
    assert {"a": 0.0, "b": 0.0} == truths(there, KNOWN + DAY) == truths(here, KNOWN + DAY)
    assert 0 == join(there, KNOWN + DAY).rows
    learn(there, {"c": 1.0}, KNOWN + DAY)
    assert 1 == join(there, KNOWN + DAY).rows


def test_nothing_is_overwritten(settings, empty, tmp_path):
    """Neither a backup nor what is there where one is restored, be it a folder or a database."""
    back_up(settings, tmp_path / "backup", NOW)
    with pytest.raises(PlatformError, match="exists; name a folder"):
        back_up(settings, tmp_path / "backup", NOW)
    with pytest.raises(PlatformError, match=r"labels, .*the database of ledger"):
        restore(settings, tmp_path / "backup")
    upgrade(empty.ledger_uri)
    with pytest.raises(PlatformError, match="there is: the database of ledger"):
        restore(empty, tmp_path / "backup")


@pytest.mark.parametrize("harm", ["altered", "gone"])
def test_a_harmed_backup_is_refused_and_nothing_restored(settings, empty, tmp_path, harm):
    """One byte, or one file."""
    back_up(settings, tmp_path / "backup", NOW)
    path = tmp_path / "backup" / "home" / "labels" / "churn" / "2017-11-01.parquet"
    path.write_bytes(b"labelz") if harm == "altered" else path.unlink()
    with pytest.raises(PlatformError, match=r"gone or altered: home/labels/churn/2017-11-01\.parquet"):
        restore(empty, tmp_path / "backup")
    assert not empty.home.exists()


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_a_backup_is_of_one_kind_of_database(settings, empty, tmp_path):
    """And says so, where settings name another; a folder that is no backup is named, too."""
    back_up(settings, tmp_path / "backup", NOW)
    server = make_url("postgresql+psycopg://nobody@127.0.0.1:9/ledger")
    with pytest.raises(PlatformError, match="is not of postgresql; restore it where it came from"):
        load(tmp_path / "backup" / "databases" / "ledger", server)
    (tmp_path / "backup" / NAME).unlink()
    with pytest.raises(PlatformError, match="is no backup"):
        restore(empty, tmp_path / "backup")
