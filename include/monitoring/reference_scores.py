"""What a version's scores are to be like: those of the training set's last window, which it has not seen."""

import numpy as np
from pydantic import TypeAdapter

from include.adapters.artefacts import ArtefactStore
from include.adapters.onnx_model import OnnxModel
from include.adapters.snapshots import UNIT, read_snapshot, rows_within
from include.contracts.canonical import content_hash
from include.contracts.errors import ArtefactError
from include.contracts.model import ModelContract
from include.contracts.packages import MODEL_NAME, Manifest, Version
from include.contracts.windows import training_windows
from include.monitoring.scores import ScoreProfile, score_edges, score_profile
from include.stats.effective_rows import effective_rows

_PROFILE = TypeAdapter(ScoreProfile)


def reference_scores(
    store: ArtefactStore, contract: ModelContract, version: Version, manifest: Manifest
) -> ScoreProfile:
    """Return the profile of a version's scores on rows it was tested on; computed once and kept.

    Args:
        store: holds package and training set, and keeps the profile.
        contract: says which rows were for the test.
        version: the version.
        manifest: its manifest.

    Raises:
        ArtefactError: package or training set are missing or altered, or no row was for the test.
        ModelError: the graph fails on its own test rows.
    """
    test = training_windows(contract.training, contract.label, manifest.snapshot.as_of).test
    key = content_hash([version.artefact_sha256, test.start.isoformat(), test.end.isoformat()])
    uri = f"monitoring/{version.model}/reference_scores/{key}.json"
    if store.exists(uri):
        return _PROFILE.validate_json(store.read(uri))
    rows = rows_within(read_snapshot(store, manifest.snapshot), test)
    if rows.empty:
        raise ArtefactError(f"the training set {manifest.snapshot.uri} has no rows in {test}")
    model = OnnxModel(store.path(f"{version.package_uri}/{MODEL_NAME}"), manifest.signature)
    outputs = model.predict(rows).astype(np.float64)
    ratio = effective_rows(rows[UNIT].value_counts()) / len(rows)
    task = manifest.signature.task
    profile = score_profile(task, outputs, score_edges(task, outputs), ratio)
    store.write(uri, _PROFILE.dump_json(profile))
    return profile
