import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from include.adapters.artefacts import ArtefactStore
from include.commands.train import LOCAL_RUNS, as_text, train_here
from include.config.models import model_folder
from include.config.settings import Settings
from include.contracts.packages import TRAINING_NAME, TrainingRecord
from include.features.computed_days import read_days
from tests.models.test_pump_failure import AS_OF, FIRST, write_readings

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
