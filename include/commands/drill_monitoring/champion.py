"""The model the drill watches: trained once on real data, registered, and given all traffic."""

import logging
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import pandas as pd

from include.adapters.artefact_home import artefact_store
from include.adapters.ledger.ledger import Ledger
from include.adapters.ledger.migrate import upgrade
from include.adapters.ledger.routes import RouteUpdate
from include.adapters.onnx_model import OnnxModel
from include.adapters.packages import load_manifest, package_uri, publish_package
from include.adapters.snapshots import read_snapshot_table
from include.commands.train import train_here
from include.config.models import ModelFolder, model_folder
from include.config.settings import Settings
from include.contracts.events import SYSTEM
from include.contracts.packages import MODEL_NAME, TRAINING_NAME, Manifest, TrainingRecord, Version
from include.registry.register import PACKAGED
from include.rollout.switch import full_route

log = logging.getLogger(__name__)

MODEL = "churn"
TRAINED_AS_OF = datetime(2017, 8, 30, tzinfo=UTC)
"""Late enough to learn from spring and summer; the weeks after it are there to be watched."""
_NOWHERE = "127.0.0.1:1"
"""The drill scores in process; no Triton is asked."""


@dataclass(frozen=True)
class Champion:
    """A released version, ready to score in process."""

    settings: Settings
    folder: ModelFolder
    version: Version
    manifest: Manifest
    graph: OnnxModel

    def scores(self, inputs: pd.DataFrame) -> list[tuple[float, ...]]:
        """Return the outputs of rows."""
        return [tuple(map(float, row)) for row in self.graph.predict(inputs)]

    def training_rows(self) -> pd.DataFrame:
        """Return what it learned from: unit, event_at, label and inputs."""
        store = artefact_store(self.settings)
        frame: pd.DataFrame = read_snapshot_table(store, self.manifest.snapshot).to_pandas()
        return frame


def released_champion(settings: Settings) -> Champion:
    """Return the champion of a home; where there is none, train one and give it all traffic."""
    upgrade(settings.ledger_uri)
    folder = model_folder(settings.model_folders, MODEL)
    with closing(Ledger(settings.ledger_uri)) as ledger:
        version = ledger.champion(MODEL) or _released(settings, ledger, folder)
    store = artefact_store(settings)
    manifest = load_manifest(store, version)
    graph = OnnxModel(store.path(version.package_uri) / MODEL_NAME, manifest.signature)
    return Champion(settings, folder, version, manifest, graph)


def _released(settings: Settings, ledger: Ledger, folder: ModelFolder) -> Version:
    log.info("training %s as of %s", folder.name, TRAINED_AS_OF.date())
    candidate, _ = train_here(settings, folder, TRAINED_AS_OF)
    return give_all_traffic(settings, ledger, folder, candidate)


def give_all_traffic(settings: Settings, ledger: Ledger, folder: ModelFolder, candidate: str) -> Version:
    """Package a candidate and make it the champion.

    Its gates are not asked: some need a running Triton, and nobody outside the drill is answered by it.
    """
    store = artefact_store(settings)
    path = store.path(candidate)
    files = {name: (path / name).read_bytes() for name in PACKAGED}
    record = TrainingRecord.model_validate_json((path / TRAINING_NAME).read_bytes())
    hashes = {name: sha256(content).hexdigest() for name, content in files.items()}
    manifest = Manifest(**{**dict(record), "files": hashes})
    digest = publish_package(store, manifest, files)
    version = ledger.register_version(
        model=folder.name,
        version="1.0.0",
        artefact_sha256=digest,
        package_uri=package_uri(folder.name, digest),
        run_id=record.run_id,
        requested_by=record.requested_by,
        actor=SYSTEM,
    )
    state = ledger.route_state(folder.name)
    route = full_route(
        folder.contract, manifest, version, endpoints=(_NOWHERE,), before=state.route, change_id="drill"
    )
    ledger.change_route(RouteUpdate(route, state.revision), actor=SYSTEM, reason="drill of the monitors")
    return version
