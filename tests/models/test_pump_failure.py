"""A model from another trade goes through the life cycle, brought in by its folder and nothing else."""

import random
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pyarrow
import pyarrow.parquet
import pytest

from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.online_features import OnlineFeatures
from include.adapters.onnx_model import OnnxModel
from include.adapters.packages import load_manifest
from include.adapters.prediction_log import find, read
from include.adapters.tracking import Tracking
from include.commands.services import free_port
from include.config.models import ModelFolder, model_folder
from include.config.settings import Settings
from include.contracts.keys import Verb
from include.contracts.packages import MODEL_NAME, Snapshot, Version
from include.contracts.predictions import FallbackReason, Status
from include.contracts.reports import EvaluationReport
from include.data.labels import compute_labels
from include.evaluation.evaluate import evaluate
from include.features.materialize import compute_features
from include.features.online import materialize_online
from include.features.scoring_set import freeze_scoring_set
from include.features.training_set import freeze_training_set
from include.registry.register import register
from include.rollout.load import load_version
from include.rollout.switch import full_route
from include.scoring.plan import plan_batch
from include.scoring.score import score_batch
from include.training.train import train
from serving.gateway.freshness import enrich
from serving.gateway.request_features import RequestFeatures
from serving.gateway.server import transform_of
from tests.adapters.ledger.changes import approve
from tests.faults.gateways import running_gateway
from tests.registry.candidates import opened
from tests.triton import running_triton, triton_ports

# MLflow's store over SQLite speaks of SQLAlchemy's loader strategies.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 100
AS_OF = FIRST + timedelta(days=DAYS)
PUMPS = 40
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Life:
    """What each stage gave."""

    settings: Settings
    folder: ModelFolder
    rows: dict[str, int]
    labels: int
    snapshot: Snapshot
    report: EvaluationReport
    version: Version


def write_readings(path: Path) -> None:
    """Write readings every six hours; a pump wears, shakes the more, runs warmer, fails and is repaired."""
    dice = random.Random(3)  # noqa: S311 - made-up data
    rows = []
    for pump in range(PUMPS):
        wear = dice.random()
        for quarter in range(4 * DAYS):
            wear += dice.random() * 0.02
            failed = dice.random() < 0.004 * wear**4
            moment = (FIRST + timedelta(hours=6 * quarter, minutes=pump)).replace(tzinfo=None)
            warmth = 40 + 2 * wear + dice.gauss(0, 15)
            rows.append((f"p-{pump}", "AB"[pump % 2], warmth, wear + dice.random() / 4, failed, moment))
            wear = 0.0 if failed else wear
    names = ("pump_id", "maker", "celsius", "mm_per_second", "failed", "ts")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """Take the model from raw readings to a registered version by the platform's own stages."""
    home = tmp_path_factory.mktemp("pumps")
    shutil.copytree(Path(__file__).parent / "pump_failure", home / "models" / "pump_failure")
    write_readings(home / "models" / "pump_failure" / "sources" / "readings.parquet")
    settings = Settings(
        home=home / "var",
        model_folders=(home / "models",),
        mlflow_uri=f"sqlite:///{home / 'mlflow.sqlite3'}",
        **triton_ports(),
    )
    with running_triton(settings):
        return live(settings, model_folder(settings.model_folders, "pump_failure"))


def live(settings: Settings, folder: ModelFolder) -> Life:
    """Run the stages in their order."""
    rows = compute_features(settings, (FIRST + timedelta(days=8)).date(), AS_OF.date(), AS_OF)
    materialize_online(settings, AS_OF.date())
    labels = compute_labels(settings, folder, FIRST + timedelta(days=8), AS_OF, AS_OF)
    snapshot = freeze_training_set(settings, folder.contract, AS_OF)
    candidate = train(settings, folder, snapshot, "system", AS_OF)
    report = evaluate(settings, folder, candidate, None)
    upgrade(settings.ledger_uri)
    ledger = Ledger(settings.ledger_uri)
    version = register(settings, ledger, Tracking(settings), folder, candidate, actor="system")
    release = opened(ledger, folder.contract, version.version, release_id="first")
    approve(ledger, release, decided_by=release.approvers[0])
    ledger.close()
    return Life(settings, folder, rows, labels, snapshot, report, version)


def test_the_folder_is_all_it_takes(life):
    """Only its own view is computed; it is labelled, trained, judged and registered as 1.0.0."""
    assert {"pump_condition": PUMPS * (DAYS - 7)} == life.rows
    assert life.labels > PUMPS * (DAYS - 15)
    assert life.report.passed, life.report.failures
    assert life.report.metrics["roc_auc"] > life.report.baseline_metrics["roc_auc"]
    assert ("pump_failure", "1.0.0") == (life.version.model, life.version.version)
    assert "1.0.0" == Ledger(life.settings.ledger_uri).versions("pump_failure")[-1].version


def test_serving_gives_what_training_saw(life):
    """Features read online and transforms run by the gateway equal the training set's, to the last bit."""
    settings, contract = life.settings, life.folder.contract
    store = ArtefactStore(settings.artefacts_folder)
    frozen = pyarrow.parquet.read_table(store.path(life.snapshot.uri)).to_pylist()
    moment = max(row["event_at"] for row in frozen)
    expected = {row["unit"]: row for row in frozen if row["event_at"] == moment}
    materialized = life.settings.model_copy(update={"home": settings.home.parent / "that_day"})
    shutil.copytree(settings.features_folder / "offline", materialized.features_folder / "offline")
    materialize_online(materialized, date.fromisoformat(str(moment.date())))

    manifest = load_manifest(store, life.version)
    endpoint = ("127.0.0.1:1",)
    route = full_route(contract, manifest, life.version, endpoints=endpoint, before=None, change_id="r")
    units = list(expected)
    online = OnlineFeatures(materialized).read(contract.entity, units, contract.signature.views)
    batch = [
        enrich(route, route.champion.signature.views, row.features, row.timestamps, moment) for row in online
    ]
    transforms = RequestFeatures(
        "pump_failure", route.champion, lambda *names: transform_of(settings, *names)
    )
    transforms.add(batch, [moment] * len(batch))

    names = [item.name for item in contract.features.inputs]
    assert PUMPS == len(units)
    assert [[expected[unit][name] for name in names] for unit in units] == [
        [row.features[name] for name in names] for row in batch
    ]
    model = OnnxModel(store.path(f"{life.version.package_uri}/{MODEL_NAME}"), contract.signature)
    columns = {name: [row.features[name] for row in batch] for name in names}
    assert (len(units), 1) == model.predict(columns).shape


@pytest.mark.slow
def test_the_gateway_serves_it(life):
    """Loaded and routed to, it answers by its own key, view and transform what its artefact gives."""
    settings = life.settings.model_copy(update={"gateway_port": free_port(), "replay": True})
    store, ledger = ArtefactStore(settings.artefacts_folder), Ledger(settings.ledger_uri)
    manifest = load_manifest(store, life.version)
    _, key = ledger.issue_key("plant", ["pump_failure"], [Verb.PREDICT], "ada")
    with running_triton(settings) as triton:
        load_version(settings, triton, life.version)
        endpoints = settings.serving_endpoints
        route = full_route(
            life.folder.contract, manifest, life.version, endpoints=endpoints, before=None, change_id="first"
        )
        ledger.change_route(RouteUpdate(route, 0), actor="ada", reason="the pumps' first version")
        with running_gateway(settings, "gateway"):
            answer = httpx.post(
                f"{settings.gateway_url}/v1/predict/pump_failure",
                json={"entity": {"pump": "p-1"}},
                headers={"Authorization": f"Bearer {key}", "X-Event-Time": AS_OF.isoformat()},
                trust_env=False,
            ).json()
    ledger.close()
    assert "prediction_id" in answer, answer
    row = find(settings.predictions_folder, answer["prediction_id"])
    model = OnnxModel(store.path(life.version.package_uri) / MODEL_NAME, life.folder.contract.signature)
    columns = {
        name: [row.features[name]] for name in [item.name for item in life.folder.contract.signature.inputs]
    }
    assert ("1.0.0", None, "p-1") == (answer["version"], answer["fallback"], row.unit)
    assert answer["score"] == pytest.approx(float(model.predict(columns)[0, 0]), abs=1e-5)


def test_a_batch_gives_what_training_saw(life):
    """Every unit's features, computed ones included, equal the training set's; the artefact scores them."""
    settings, contract = life.settings, life.folder.contract
    store = ArtefactStore(settings.artefacts_folder)
    frozen = pyarrow.parquet.read_table(store.path(life.snapshot.uri)).to_pandas()
    moment = frozen["event_at"].max().to_pydatetime()
    rows = frozen[frozen["event_at"] == moment].sort_values("unit")
    batch_of(life, moment)
    logged = {row.unit: row for row in read(settings.predictions_folder, moment, moment + MICROSECOND)}

    names = [item.name for item in contract.features.inputs]
    assert PUMPS == len(logged)
    assert rows[names].values.tolist() == [
        [logged[unit].features[name] for name in names] for unit in rows["unit"]
    ]
    scores = OnnxModel(store.path(life.version.package_uri) / MODEL_NAME, contract.signature).predict(rows)
    assert scores.tolist() == [list(logged[unit].outputs) for unit in rows["unit"]]


def test_a_batch_past_the_features_age_scores_missing_values_and_says_so(life):
    """Under the policy `default` the version answers, and the row carries the reason."""
    moment = AS_OF + timedelta(days=365)
    batch_of(life, moment, ["p-1"])
    [row] = read(life.settings.predictions_folder, moment, moment + MICROSECOND)

    assert (Status.FALLBACK, FallbackReason.STALE_FEATURES) == (row.status, row.fallback_reason)
    assert ("1.0.0", {None}) == (row.served_version, set(row.feature_timestamps.values()))


def batch_of(life: Life, moment: datetime, entities: list[str] | None = None) -> None:
    """Score a batch with the registered version."""
    ledger = Ledger(life.settings.ledger_uri)
    plan = plan_batch(life.settings, ledger, life.folder.contract, moment, life.version.version)
    scoring_set = freeze_scoring_set(life.settings, plan, entities)
    score_batch(life.settings, ledger, plan, scoring_set, lambda: AS_OF)
    ledger.close()
