from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet
import pytest

from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.packages import load_manifest
from include.adapters.prediction_log import read
from include.adapters.tracking import Tracking
from include.config.settings import Settings
from include.contracts.packages import Version
from include.contracts.predictions import PredictionRow
from include.contracts.routes import ModelRoute
from include.contracts.scoring import BatchReport, ScoringPlan
from include.features.materialize import compute_features
from include.features.scoring_set import freeze_scoring_set
from include.registry.register import register
from include.rollout.switch import full_route
from include.scoring.plan import plan_batch
from include.scoring.publish import publish_scores
from include.scoring.score import score_batch
from tests.adapters.ledger.changes import approve
from tests.registry.candidates import opened, write_candidate
from tests.shop import Shop, at, half_a_year, on

AS_OF = at("2017-06-01T09:30")
WALL = datetime(2026, 1, 1, tzinfo=UTC)
CUSTOMERS = 7


@dataclass
class Stage:
    """A shop whose model may be registered, put in production, and scored in chunks of three."""

    shop: Shop
    settings: Settings
    ledger: Ledger
    tracking: Tracking

    def released(self, **changes: object) -> Version:
        """Register a version and make it the champion; `changes` replace fields of its route."""
        version = self.registered()
        self.route(version, **changes)
        return version

    def registered(self, run: str = "one", **changes: object) -> Version:
        """Register a version whose score is the sum of its numbers."""
        store = ArtefactStore(self.settings.artefacts_folder)
        uri = write_candidate(store, self.shop.churn, run, **changes)
        return register(self.settings, self.ledger, self.tracking, self.shop.churn, uri, actor="ada")

    def approved(self, version: Version) -> Version:
        """Have a version approved, and leave it at that."""
        release = opened(
            self.ledger, self.shop.churn.contract, version.version, release_id=f"asked-{version.version}"
        )
        approve(self.ledger, release, decided_by=release.approvers[0])
        self.ledger.abandon(version.model, actor="ada", reason="it was only asked")
        return version

    def route(self, version: Version, **changes: object) -> None:
        """Make a version the champion."""
        manifest = load_manifest(ArtefactStore(self.settings.artefacts_folder), version)
        state = self.ledger.route_state("churn")
        route = full_route(
            self.shop.churn.contract,
            manifest,
            version,
            endpoints=("127.0.0.1:1",),
            before=state.route,
            change_id="r",
        )
        update = RouteUpdate(ModelRoute.model_validate(route.model_dump() | changes), state.revision)
        self.ledger.change_route(update, actor="ada", reason="a test")

    def plan(self, moment: datetime = AS_OF, **arguments: str) -> ScoringPlan:
        """Plan a batch."""
        found = plan_batch(self.settings, self.ledger, self.shop.churn.contract, moment, **arguments)
        assert found is not None
        return found

    def score(self, plan: ScoringPlan, entities: list[int] | None = None) -> BatchReport:
        """Freeze and score a batch."""
        frozen = freeze_scoring_set(self.settings, plan, entities)
        return score_batch(self.settings, self.ledger, plan, frozen, lambda: WALL)

    def published(self, plan: ScoringPlan) -> list[dict]:
        """Publish a batch and return its rows."""
        return pyarrow.parquet.read_table(publish_scores(self.settings, plan)).to_pylist()

    def logged(self) -> list[PredictionRow]:
        """Return the prediction log."""
        return list(read(self.settings.predictions_folder))


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A shop with some days computed and no version yet; MLflow does not run."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    shop = Shop(tmp_path, half_a_year(CUSTOMERS)).narrowed()
    settings = shop.settings.model_copy(update={"scoring_chunk_rows": 3})
    compute_features(settings, on("2017-05-28"), on("2017-06-01"), AS_OF)
    upgrade(settings.ledger_uri)
    ledger = Ledger(settings.ledger_uri)
    yield Stage(shop, settings, ledger, Tracking(settings, uri="http://127.0.0.1:9"))
    ledger.close()
