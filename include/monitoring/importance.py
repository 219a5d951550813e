"""How much each input matters: how far scores move when its values are dealt out anew."""

import json

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow

from include.adapters.artefacts import ArtefactStore
from include.adapters.onnx_model import OnnxModel
from include.adapters.snapshots import read_snapshot_table
from include.contracts.canonical import canonical_json
from include.contracts.packages import MODEL_NAME, Manifest, Version
from include.contracts.signatures import Signature

ROWS = 2_000
"""Rows of the training set it is computed on."""


def input_importance(store: ArtefactStore, version: Version, manifest: Manifest) -> dict[str, float]:
    """Return each input's share in what moves a version's scores; the shares add up to 1.

    The mean absolute change of the scores when one input's values are dealt out anew among rows: Breiman's
    permutation importance (2001, Machine Learning 45:5) without labels, since what drifts must be told before
    they are known. Stored beside the model's reports, so that it is computed once.

    Args:
        store: holds package and training set.
        version: the version.
        manifest: its manifest.

    Raises:
        ArtefactError: package or training set are missing or altered.
        ModelError: the graph fails on its own training rows.
    """
    uri = f"monitoring/{version.model}/importance/{version.artefact_sha256}.json"
    if store.exists(uri):
        found: dict[str, float] = json.loads(store.read(uri))
        return found
    model = OnnxModel(store.path(f"{version.package_uri}/{MODEL_NAME}"), manifest.signature)
    shares = _shares(model, manifest.signature, read_snapshot_table(store, manifest.snapshot), manifest.seed)
    store.write(uri, canonical_json(shares))
    return shares


def _shares(model: OnnxModel, signature: Signature, rows: pyarrow.Table, seed: int) -> dict[str, float]:
    dice = np.random.default_rng(seed)
    chosen = rows.take(dice.choice(rows.num_rows, min(ROWS, rows.num_rows), replace=False)).to_pandas()
    usual = model.predict(chosen)
    moved = {
        item.name: _mean_change(usual, model.predict(_dealt(chosen, item.name, dice)))
        for item in signature.inputs
    }
    total = sum(moved.values())
    return {name: each / total if total else 1 / len(moved) for name, each in moved.items()}


def _mean_change(before: npt.NDArray[np.float32], after: npt.NDArray[np.float32]) -> float:
    change = np.abs(after - before)
    finite = change[np.isfinite(change)]
    return float(finite.mean()) if finite.size else 0.0


def _dealt(rows: pd.DataFrame, name: str, dice: np.random.Generator) -> pd.DataFrame:
    return rows.assign(**{name: rows[name].to_numpy()[dice.permutation(len(rows))]})
