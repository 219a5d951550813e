"""Days that pass in the drill: real rows in a real log, labels in the store, looks when they are due."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from include.adapters.artefacts import ArtefactStore
from include.adapters.label_store import read_labels
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.onnx_model import OnnxModel
from include.adapters.packages import load_manifest
from include.adapters.prediction_log import read
from include.adapters.tracking import Tracking
from include.commands.drill_monitoring.champion import Champion
from include.commands.drill_monitoring.world import World
from include.config.settings import Settings
from include.contracts.alerts import AlertContent, AlertKind
from include.contracts.model import ModelContract
from include.contracts.packages import MODEL_NAME
from include.registry.register import register
from tests.registry.candidates import ROWS, model_folder, write_candidate

START = datetime(2017, 9, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def champion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Champion:
    """Give a registered version whose score is the sum of its numbers."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings = Settings(home=tmp_path / "home")
    upgrade(settings.ledger_uri)
    folder, store = model_folder(tmp_path / "models"), ArtefactStore(settings.artefacts_folder)
    settings.features_folder.mkdir(parents=True)
    uri = write_candidate(store, folder, "one")
    with closing(Ledger(settings.ledger_uri)) as ledger:
        tracking = Tracking(settings, uri="http://127.0.0.1:9")
        version = register(settings, ledger, tracking, folder, uri, actor="ada")
    manifest = load_manifest(store, version)
    graph = OnnxModel(store.path(version.package_uri) / MODEL_NAME, manifest.signature)
    return Champion(settings, folder, version, manifest, graph)


def rows() -> pd.DataFrame:
    """Return three units and what becomes of them."""
    return pd.DataFrame(ROWS).assign(unit=["1", "2", "3"], label=[0.0, 1.0, 1.0])


def test_a_day_leaves_what_a_day_in_production_leaves(champion: Champion, tmp_path: Path) -> None:
    """Rows with the model's own scores, labels known after their delay; the first home stays as it is."""
    world = World.new(champion, tmp_path / "world")
    world.live(START, rows())
    world.live(START + DAY, rows())
    logged = list(read(world.settings.predictions_folder))
    assert 6 == len(logged)
    first = min(logged, key=lambda row: row.predicted_at)
    assert ROWS[0] == first.features
    assert champion.scores(rows())[0] == first.outputs
    assert START < first.predicted_at < START + DAY
    delay = champion.folder.contract.label.delay
    assert 3 == read_labels(world.settings, "churn", START + delay).num_rows
    assert 6 == read_labels(world.settings, "churn", START + DAY + delay).num_rows
    assert [] == list(read(champion.settings.predictions_folder))


def test_looks_come_at_their_schedule_and_what_they_raise_is_kept(champion: Champion, tmp_path: Path) -> None:
    """Four looks a day, the last at midnight; an alert that stays open was raised once."""
    moments: list[datetime] = []

    def look(settings: Settings, contract: ModelContract, as_of: datetime) -> None:
        moments.append(as_of)
        with closing(Ledger(settings.ledger_uri)) as ledger:
            if as_of == START + DAY / 2:
                ledger.raise_alert(
                    AlertContent(
                        kind=AlertKind.FEATURE_DRIFT, subject="f", model=contract.name, message="drifted"
                    ),
                    "system",
                )

    world = World.new(champion, tmp_path / "before").copy(tmp_path / "world", {"m": ("every 6 hours", look)})
    world.live(START, rows())
    assert [START + hours * DAY / 4 for hours in (1, 2, 3, 4)] == moments
    assert [(START + DAY / 2, "f")] == [(each.at, each.content.subject) for each in world.raised]
