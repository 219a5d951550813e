"""What only the champion reads, frozen beside a candidate's features: both are judged on the same rows."""

import logging
from collections.abc import Sequence
from typing import Any

import pyarrow
from feast import FeatureStore

from include.adapters.artefact_home import artefact_store
from include.adapters.packages import read_manifest
from include.config.models import model_folder
from include.config.settings import Settings
from include.config.transforms import Transform, as_trained, load_transform, run_transform
from include.contracts.errors import ContractError
from include.contracts.model import ModelContract
from include.contracts.packages import Manifest, Version
from include.contracts.signatures import FeatureInput, FeatureKind
from include.contracts.views import TIMESTAMP
from include.features.views import load_views

_TYPES = {FeatureKind.NUMERIC: pyarrow.float64(), FeatureKind.CATEGORICAL: pyarrow.string()}
_Reads = tuple[str, str]
"""A view, and a feature of it."""

_log = logging.getLogger(__name__)


def champion_columns(
    settings: Settings,
    store: FeatureStore,
    contract: ModelContract,
    entity_rows: pyarrow.Table,
    champion: Version,
) -> pyarrow.Table:
    """Return the moments, and each champion's input the contract does not name as `FeatureInput.frozen_as`.

    What the feature store no longer has, or a transform that is not the one the champion was trained with,
    is left out and logged: evaluation then says what cannot be compared.

    Args:
        settings: says where packages, views and transforms lie.
        store: Feast's.
        contract: the candidate's.
        entity_rows: the entity's key and the moment of each row.
        champion: the version in production.

    Raises:
        ArtefactError: the champion's manifest is missing or altered.
    """
    manifest = read_manifest(artefact_store(settings), champion)
    inputs = _at_hand(settings, contract, manifest.signature.beyond(contract.signature))
    transforms = _transforms(settings, champion, manifest, inputs)
    inputs = [item for item in inputs if item.transform is None or item.transform in transforms]
    if not inputs:
        return entity_rows.select([TIMESTAMP])
    names = dict.fromkeys(pair for item in inputs for pair in _reads(item))
    found = store.get_historical_features(
        entity_rows.to_pandas(), [f"{view}:{name}" for view, name in names], full_feature_names=True
    ).to_arrow()
    columns = {item.frozen_as: _column(item, found, transforms).cast(_TYPES[item.kind]) for item in inputs}
    return pyarrow.table({TIMESTAMP: found[TIMESTAMP], **columns})


def _reads(item: FeatureInput) -> list[_Reads]:
    if item.view is not None:
        return [(item.view, item.name)]
    return [(column.view, column.name) for column in item.reads if column.view is not None]


def _at_hand(
    settings: Settings, contract: ModelContract, inputs: Sequence[FeatureInput]
) -> list[FeatureInput]:
    views = load_views(settings).values()
    known = {
        (view.name, field.name)
        for view in views
        if view.definition.entity == contract.entity
        for field in view.definition.fields
    }
    lost = [item.origin for item in inputs if not known.issuperset(_reads(item))]
    if lost:
        _log.warning("%s: no view has what its champion reads: %s", contract.name, ", ".join(lost))
    return [item for item in inputs if item.origin not in lost]


def _transforms(
    settings: Settings, champion: Version, manifest: Manifest, inputs: Sequence[FeatureInput]
) -> dict[str, Transform]:
    folder = model_folder(settings.model_folders, champion.model).path
    found = {}
    for name in {item.transform for item in inputs if item.transform is not None}:
        try:
            transform = load_transform(name, folder)
            found[name] = as_trained(transform, champion.version, manifest.snapshot.transform_sha256)
        except ContractError as error:
            _log.warning("%s: its champion is not compared by it: %s", champion.model, error)
    return found


def _column(
    item: FeatureInput, found: pyarrow.Table, transforms: dict[str, Transform]
) -> pyarrow.ChunkedArray:
    if item.transform is None:
        return found[f"{item.view}__{item.name}"]
    rows: list[dict[str, Any]] = [{} for _ in range(found.num_rows)]
    for view, name in _reads(item):
        for row, value in zip(rows, found[f"{view}__{name}"].to_pylist(), strict=True):
            row[name] = value
    seconds = [moment.timestamp() for moment in found[TIMESTAMP].to_pylist()]
    return pyarrow.chunked_array([run_transform(transforms[item.transform], item, rows, seconds)])
