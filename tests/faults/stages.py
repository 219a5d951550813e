"""The stages of training and release, each as its task runs it, and what of them lasts.

A stage takes nothing but the world it finds: what it needs of the stages before, it reads there, as a rerun
task does. `lasting` tells all that a kill must not change; what a clock or a dice decided is left out.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.tracking import Tracking
from include.adapters.triton_candidates import remove_leftovers
from include.adapters.triton_control import TritonControl
from include.commands.reconcile import reconcile
from include.config.models import ModelFolder
from include.config.settings import Settings
from include.contracts.packages import Snapshot
from include.contracts.releases import Decision, Release
from include.data.labels import compute_labels
from include.evaluation.evaluate import evaluate
from include.features.materialize import compute_features
from include.features.training_set import freeze_training_set
from include.registry.register import register
from include.rollout.approval import record_decision
from include.rollout.load import load_release
from include.rollout.promote import promote
from include.rollout.ramp import enter, ramp_tools
from include.rollout.rollback import roll_back
from include.training.train import train_candidate
from tests.registry.candidates import opened, write_candidate
from tests.shop import Shop, at, half_a_year, on
from tests.synthetic import churn_folder, customers, frozen, request

WALL = datetime(2026, 1, 1, tzinfo=UTC)
FROZEN_AS_OF = at("2017-06-01")
FIRST, SECOND = "1.0.0", "1.1.0"


class Home(Settings):
    """Settings whose MLflow is a SQLite file of the home, with no server in front."""

    @property
    def mlflow_url(self) -> str:
        """URI of that file."""
        return f"sqlite:///{self.mlflow_folder / 'mlflow.sqlite3'}"


@dataclass(frozen=True)
class World:
    """What a task finds: settings, and the model's folder beside the home."""

    settings: Settings

    @cached_property
    def folder(self) -> ModelFolder:
        """The churn model."""
        return ModelFolder(self.root / "models" / "churn")

    @property
    def root(self) -> Path:
        """Where the home and what is given lie."""
        return self.settings.home.parent

    @cached_property
    def given(self) -> dict[str, Any]:
        """What lay there before the stages under test: runs, and the training set."""
        return json.loads((self.root / "given.json").read_text())

    @cached_property
    def store(self) -> ArtefactStore:
        """The artefact store."""
        return ArtefactStore(self.settings.artefacts_folder)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger."""
        return Ledger(self.settings.ledger_uri)

    @cached_property
    def tracking(self) -> Tracking:
        """A real MLflow."""
        return Tracking(self.settings)

    @cached_property
    def triton(self) -> TritonControl:
        """The real Triton."""
        return TritonControl(self.settings.triton_endpoint)

    def release(self, version: str) -> Release:
        """Return the release of a version."""
        found = self.ledger.release(f"release-{version}")
        assert found is not None
        return found

    def trained(self) -> list[Path]:
        """Return the folders of candidates that the training stage made."""
        known = self.given.get("runs", {}).values()
        folders = self.store.path("candidates").glob("[!.]*")
        return [folder for folder in folders if folder.name not in known]


def prepare_shop(world: World) -> None:
    """Bring a shop to where its training set can be frozen."""
    shop = Shop(world.root, half_a_year()).narrowed()
    compute_features(shop.settings, on("2017-04-28"), on("2017-05-14"), FROZEN_AS_OF)
    compute_labels(shop.settings, shop.churn, at("2017-04-28"), FROZEN_AS_OF, FROZEN_AS_OF)


def prepare(world: World, **changes: Any) -> None:
    """Bring a first version to production; a training set and a second candidate wait."""
    upgrade(world.settings.ledger_uri)
    churn_folder(world.root / "models", training={"hyperparameters": {"epochs": 2}}, **changes)
    runs = {version: world.tracking.start_run("churn", version, {}) for version in (FIRST, SECOND)}
    for run, seed in zip(runs.values(), (7, 8), strict=True):
        write_candidate(world.store, world.folder, run, seed=seed)
        world.tracking.end_run(run)
    snapshot = frozen(world.store, customers(units=60)).model_dump(mode="json")
    (world.root / "given.json").write_text(json.dumps({"runs": runs, "snapshot": snapshot}))
    for stage in (register_version, open_release, decide, load, switch, promote_release):
        stage(world, FIRST)
    settle(world)


def freeze(world: World) -> None:
    """Freeze the training set."""
    freeze_training_set(world.settings, world.folder.contract, FROZEN_AS_OF)


def train(world: World) -> None:
    """Train a candidate."""
    snapshot = Snapshot.model_validate(world.given["snapshot"])
    train_candidate(world.store, world.tracking, world.folder, request(snapshot))


def judge(world: World) -> None:
    """Evaluate it, in Triton too; the champion's made-up scores are no match."""
    (candidate,) = world.trained()
    evaluate(world.settings, world.folder, f"candidates/{candidate.name}", champion=None)


def register_version(world: World, version: str = SECOND) -> None:
    """Register the candidate that is to become a version."""
    uri = f"candidates/{world.given['runs'][version]}"
    register(world.settings, world.ledger, world.tracking, world.folder, uri, actor="system")


def open_release(world: World, version: str = SECOND) -> None:
    """Open a version's release."""
    opened(world.ledger, world.folder.contract, version, release_id=f"release-{version}")


def decide(world: World, version: str = SECOND) -> None:
    """Approve it."""
    record_decision(
        world.ledger,
        ArtefactStore(world.settings.artefacts_folder),
        f"release-{version}",
        Decision.APPROVED,
        decided_by="approver",
        decided_at=WALL,
        evidence_sha256="shown",
    )


def load(world: World, version: str = SECOND) -> None:
    """Load it."""
    load_release(world.settings, world.ledger, [world.triton], world.release(version))


def switch(world: World, version: str = SECOND) -> None:
    """Give it all traffic."""
    enter(ramp_tools(world.settings, world.folder.contract), world.release(version), "system")


def promote_release(world: World, version: str = SECOND) -> None:
    """End its release well."""
    promote(world.ledger, world.release(version), "system")


def go_back(world: World) -> None:
    """Roll back to the first version."""
    roll_back(
        world.settings,
        world.ledger,
        [world.triton],
        "churn",
        actor="olga",
        reason="errors doubled",
        to=FIRST,
    )


def settle(world: World) -> None:
    """Reconcile as its process does: what is unwanted twice is unloaded."""
    reconcile(world.settings, world.folder.name, reconcile(world.settings, world.folder.name))


STAGES: dict[str, Callable[[World], None]] = {
    "freeze": freeze,
    "train": train,
    "evaluate": judge,
    "register": register_version,
    "open_release": open_release,
    "record_decision": decide,
    "load_release": load,
    "switch_route": switch,
    "promote": promote_release,
    "reconcile": settle,
    "roll_back": go_back,
    "reconcile_back": settle,
}
"""In the order of a model's way; each finds what the ones before it left."""


def lasting(world: World) -> dict[str, Any]:
    """Return all that a kill must not change."""
    return {
        # What an upload to MLflow leaves is MLflow's own to remove.
        "leftovers": sorted(
            path.name for path in world.settings.home.rglob(".*") if "mlflow.artefacts" not in path.parts
        ),
        "artefacts": _artefacts(world),
        **({"ledger": _ledger(world), "mlflow": _mlflow(world)} if "runs" in world.given else {}),
        **({"triton": _triton(world), "trained": _trained(world)} if "runs" in world.given else {}),
    }


def _artefacts(world: World) -> dict[str, str]:
    """Return the hash of every file whose place does not depend on a run that a rerun starts anew."""
    new = {folder.name for folder in world.trained()}
    root = world.settings.artefacts_folder
    files = [path for path in root.rglob("*") if path.is_file() and not new & set(path.parts)]
    return {str(path.relative_to(root)): sha256(path.read_bytes()).hexdigest() for path in files}


def _trained(world: World) -> list[Any]:
    """Return what candidates of the training stage say, equal ones once."""
    found = []
    for folder in world.trained():
        record = json.loads((folder / "training.json").read_text())
        told = {"metrics": record["metrics"], "files": sorted(path.name for path in folder.iterdir())}
        told |= {
            name: sha256((folder / name).read_bytes()).hexdigest() for name in ("model.onnx", "golden.json")
        }
        report = folder / "evaluation.json"
        if report.exists():
            judged = json.loads(report.read_text())
            told["judged"] = judged["metrics"], sorted(gate["metric"] for gate in judged["gates"])
        if told not in found:
            found.append(told)
    return found


def _ledger(world: World) -> dict[str, Any]:
    ledger = world.ledger
    ledger.verify()
    releases = ledger.releases("churn")
    route = ledger.route("churn")
    return {
        # An alert's id is drawn anew.
        "events": [(event.kind, event.subject.partition("alert-")[0]) for event in ledger.events("churn")],
        "versions": [(item.version, item.artefact_sha256, item.run_id) for item in ledger.versions("churn")],
        "releases": [(item.release_id, item.stage, item.share, item.revision) for item in releases],
        "approvals": [
            (item.decision, item.decided_by)
            for each in releases
            for item in ledger.approvals(each.release_id)
        ],
        "open": ledger.open_release_of("churn") is not None,
        "route": route and route.model_dump(mode="json"),
    }


def _mlflow(world: World) -> dict[str, Any]:
    url = world.settings.mlflow_url
    client = MlflowClient(tracking_uri=url, registry_uri=url)
    versions = client.search_model_versions("name = 'churn'")
    semver = {str(item.version): item.tags["semver"] for item in versions}
    aliases = client.get_registered_model("churn").aliases
    experiment = client.get_experiment_by_name("churn").experiment_id
    return {
        "versions": sorted((item.tags["semver"], item.tags["artefact_sha256"]) for item in versions),
        "aliases": {name: semver[str(number)] for name, number in aliases.items()},
        "running": len(client.search_runs([experiment], "attributes.status = 'RUNNING'")),
    }


def _triton(world: World) -> dict[str, Any]:
    remove_leftovers(world.settings.triton_repository, world.triton)
    return {
        "loaded": sorted(world.triton.loaded()),
        "staged": sorted(path.name for path in world.settings.triton_repository.iterdir()),
    }
