import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from include.adapters.artefacts import ArtefactStore
from include.commands.train import LOCAL_RUNS, as_text, compute_outdated, train_here
from include.config.models import model_folder
from include.config.settings import Settings
from include.contracts.packages import TRAINING_NAME, TrainingRecord
from include.features.computed_days import read_days
from include.features.views import load_views
from tests.models.test_pump_failure import AS_OF, FIRST, write_readings
from tests.shop import Shop, at, half_a_year, on

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A laptop: a model folder, its raw data, nothing computed, no server."""
    home = tmp_path_factory.mktemp("laptop")
    source = Path(__file__).parents[1] / "models" / "pump_failure"
    shutil.copytree(source, home / "models" / "pump_failure")
    write_readings(home / "models" / "pump_failure" / "sources" / "readings.parquet")
    return Settings(home=home / "var", model_folders=(home / "models",))


def test_raw_data_becomes_a_judged_candidate(settings):
    """Features and labels are computed, the run is kept in a file, and there is no ledger to register in."""
    folder = model_folder(settings.model_folders, "pump_failure")
    candidate, report = train_here(settings, folder, AS_OF)
    record = TrainingRecord.model_validate_json(
        ArtefactStore(settings.artefacts_folder).read(f"{candidate}/{TRAINING_NAME}")
    )
    assert AS_OF == record.snapshot.as_of
    assert report.metrics["roc_auc"] > report.baseline_metrics["roc_auc"]
    assert "threshold: roc_auc" in as_text(report)
    assert (settings.mlflow_folder / LOCAL_RUNS).is_file()
    assert not (settings.home / "ledger").exists()
    days = read_days(settings, "pump_condition")
    assert (FIRST.date() + timedelta(days=10)) in days


def test_what_is_computed_is_not_computed_again(settings):
    """A second training uses the features that are there, and gives the same figures."""
    folder = model_folder(settings.model_folders, "pump_failure")
    offline = settings.features_folder / "offline" / "pump_condition"
    before = {path: path.stat().st_mtime_ns for path in offline.iterdir()}
    _, first = train_here(settings, folder, AS_OF)
    _, second = train_here(settings, folder, AS_OF)
    assert first.metrics == second.metrics
    assert before == {path: path.stat().st_mtime_ns for path in offline.iterdir()}


def test_a_row_that_arrived_since_is_seen(tmp_path):
    """A training of a later moment computes again just the days that look at it, from the same files."""
    shop = Shop(tmp_path, half_a_year()).narrowed()
    shop.deliver(half_a_year(), [((1, 77, 1, 500.0, "2017-03-10T12:00:00"), "2017-04-20T18:00:00")])
    view = load_views(shop.settings)["customer_spending"]
    seen = []
    for as_of in ("2017-04-20", "2017-04-21"):
        compute_outdated(shop.settings, view, at("2017-04-08"), at("2017-04-11"), at(as_of))
        seen.append(read_days(shop.settings, view.name))
    late, in_time = [on("2017-04-08"), on("2017-04-09")], [on("2017-04-10"), on("2017-04-11")]
    assert {at("2017-04-20")} == {day.as_of for day in seen[0].values()}
    assert {at("2017-04-21")} == {seen[1][day].as_of for day in late}
    assert {at("2017-04-20")} == {seen[1][day].as_of for day in in_time}
