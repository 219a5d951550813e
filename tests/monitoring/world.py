"""A model in production, its training set made of dice, and as much traffic as a test wants."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.measurements import MeasurementStore
from include.adapters.packages import load_manifest
from include.adapters.prediction_log import PredictionLog
from include.adapters.tracking import Tracking
from include.config.models import ModelFolder
from include.config.settings import Settings
from include.contracts.model import ModelContract
from include.contracts.packages import Version
from include.contracts.predictions import PredictionRow, Status
from include.registry.register import register
from include.rollout.switch import full_route
from tests.adapters.test_prediction_log import row
from tests.registry.candidates import model_folder, write_candidate
from tests.synthetic import customers, frozen

AS_OF = datetime(2017, 11, 10, tzinfo=UTC)
WALL = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass
class World:
    """A home with one model."""

    home: Path
    settings: Settings

    @cached_property
    def folder(self) -> ModelFolder:
        """The model's folder: churn's, of five inputs."""
        found = self.home / "models" / "churn"
        return ModelFolder(found) if found.exists() else model_folder(found.parent)

    @cached_property
    def history(self) -> pd.DataFrame:
        """What the model learned from; the test graph scores no number that is missing."""
        return customers(units=2_000, weeks=6).fillna({"total_spend_30d": 5.0})

    def contract(self, **monitoring: Any) -> ModelContract:
        """Return the contract; arguments replace blocks of `monitoring`."""
        block = self.folder.contract.monitoring.model_dump(mode="json") | monitoring
        whole = self.folder.contract.model_dump(mode="json") | {"monitoring": block}
        return ModelContract.model_validate(whole)

    def release(self, run: str = "one", **changes: Any) -> Version:
        """Register a version that learned from the history, and make it the champion."""
        store = ArtefactStore(self.settings.artefacts_folder)
        snapshot = frozen(store, self.history)
        uri = write_candidate(store, self.folder, run, snapshot=snapshot, **changes)
        with self.ledger() as ledger:
            tracking = Tracking(self.settings, uri="http://127.0.0.1:9")
            version = register(self.settings, ledger, tracking, self.folder, uri, actor="ada")
            state = ledger.route_state("churn")
            route = full_route(
                self.folder.contract,
                load_manifest(store, version),
                version,
                endpoints=("127.0.0.1:1",),
                before=state.route,
                change_id="r",
            )
            ledger.change_route(RouteUpdate(route, state.revision), actor="ada", reason="a test")
        return version

    def asked(self, rows: int = 400, seed: int = 7) -> pd.DataFrame:
        """Return what so many customers are like today: as the training set's are."""
        return customers(units=rows, weeks=1, seed=seed)

    def log(self, rows: pd.DataFrame, at: datetime = AS_OF - DAY, **changes: Any) -> None:
        """Write a live prediction about each row, a second apart, features stamped at midnight."""
        names = [item.name for item in self.folder.contract.features.inputs]
        stamp = at.replace(hour=0, minute=0, second=0)
        chances = np.random.default_rng(3).uniform(0.05, 0.6, len(rows))
        found = []
        for place, (_, each) in enumerate(rows.iterrows()):
            values = {name: None if pd.isna(each[name]) else each[name] for name in names}
            fields = {
                "predicted_at": at + timedelta(seconds=place),
                "features": {} if changes.get("status") is Status.REFUSED else values,
                "feature_timestamps": {"customer_spending": stamp},
                "unit": each["unit"],
                "outputs": (float(each.get("score", chances[place])),),
            }
            found.append(row(**(fields | changes)))
        self.write(found)

    def write(self, rows: list[PredictionRow]) -> None:
        """Append rows to the log."""
        log = PredictionLog(self.settings.predictions_folder, 2**24)
        log.append(rows)
        log.close()

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Open the ledger."""
        with closing(Ledger(self.settings.ledger_uri)) as ledger:
            yield ledger

    @contextmanager
    def store(self) -> Iterator[MeasurementStore]:
        """Open the store of measurements."""
        with closing(MeasurementStore(self.settings.ledger_uri)) as store:
            yield store


def world(home: Path) -> World:
    """Return a world with an empty ledger."""
    settings = Settings(home=home)
    upgrade(settings.ledger_uri)
    return World(home, settings)
