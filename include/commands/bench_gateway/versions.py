"""Versions for the benchmark: networks of the contract's size with untrained weights, packaged as any."""

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from include.adapters.artefact_home import artefact_store
from include.adapters.ledger.ledger import Ledger
from include.adapters.onnx_model import OnnxModel, feature_arrays
from include.adapters.packages import package_uri, publish_package
from include.config.code import code_state
from include.config.models import ModelFolder
from include.config.settings import Settings
from include.config.transforms import load_transform
from include.contracts.canonical import canonical_json
from include.contracts.events import SYSTEM
from include.contracts.networks import NetworkSignature
from include.contracts.packages import GOLDEN_NAME, MODEL_NAME, Manifest, Snapshot, Version
from include.contracts.predictions import FeatureValue
from include.features.views import load_views
from include.training.export import export
from include.training.golden import golden_set
from include.training.loop import reproducible
from include.training.network import load_network
from include.training.pipeline import Head, Pipeline
from include.training.preprocessing import fit_preprocessing, fit_vocabulary

Rows = Sequence[Mapping[str, FeatureValue]]


def register_untrained(
    settings: Settings, ledger: Ledger, folder: ModelFolder, rows: Rows, *, version: str, seed: int
) -> tuple[Manifest, Version]:
    """Package and register a network whose weights are drawn from a seed; its preprocessing fits the rows.

    Args:
        settings: says where the artefact store is.
        ledger: where it is registered.
        folder: the model's folder; network, signature and hyperparameters are its own.
        rows: features by name, transforms included.
        version: semantic version.
        seed: decides the weights.
    """
    with TemporaryDirectory() as temporary:
        files = _files(Path(temporary), folder, rows, seed)
    hashes = {name: sha256(content).hexdigest() for name, content in files.items()}
    manifest = _manifest(settings, folder, hashes, len(rows), seed)
    digest = publish_package(artefact_store(settings), manifest, files)
    registered = ledger.register_version(
        model=folder.name,
        version=version,
        artefact_sha256=digest,
        package_uri=package_uri(folder.name, digest),
        run_id=manifest.run_id,
        requested_by=SYSTEM,
        actor=SYSTEM,
    )
    return manifest, registered


def _files(candidate: Path, folder: ModelFolder, rows: Rows, seed: int) -> dict[str, bytes]:
    contract = folder.contract
    signature, frame = contract.signature, pd.DataFrame(rows)
    numeric, categorical = feature_arrays(frame, signature)
    vocabulary = fit_vocabulary(categorical)
    with reproducible(seed):
        network = load_network(
            folder,
            NetworkSignature(numeric.shape[1], vocabulary.sizes, signature.outputs),
            contract.training.hyperparameters,
        )
    pipeline = Pipeline(fit_preprocessing(numeric), network, Head(contract.task))
    export(pipeline, vocabulary, signature, candidate / MODEL_NAME)
    golden = golden_set(OnnxModel(candidate / MODEL_NAME, signature), frame, signature)
    return {
        MODEL_NAME: (candidate / MODEL_NAME).read_bytes(),
        GOLDEN_NAME: canonical_json(golden.model_dump(mode="json")),
    }


def _manifest(
    settings: Settings, folder: ModelFolder, hashes: dict[str, str], rows: int, seed: int
) -> Manifest:
    contract, now = folder.contract, datetime.now(UTC)
    return Manifest(
        model=contract.name,
        signature=contract.signature,
        snapshot=_no_snapshot(settings, folder, rows, now),
        code=code_state(settings, folder),
        contract_sha256=contract.sha256,
        hyperparameters=contract.training.hyperparameters,
        seed=seed,
        resources=contract.resources,
        metrics={},
        requested_by=SYSTEM,
        run_id=f"untrained-{seed}",
        trained_at=now,
        duration_seconds=0.0,
        hardware=platform.machine(),
        files=hashes,
    )


def _no_snapshot(settings: Settings, folder: ModelFolder, rows: int, now: datetime) -> Snapshot:
    """Return what a manifest says of a training set, where there was none but the online rows."""
    contract, views = folder.contract, load_views(settings)
    names = {str(item.transform) for item in contract.signature.transformed}
    return Snapshot(
        sha256=sha256(b"").hexdigest(),
        uri="",
        rows=rows,
        start=now - timedelta(days=1),
        end=now,
        feature_service=contract.features.service,
        feature_ttl_seconds={
            name: views[name].definition.ttl.total_seconds() for name in contract.signature.views
        },
        transform_sha256={name: load_transform(name, folder.path).sha256 for name in sorted(names)},
        as_of=now,
    )
